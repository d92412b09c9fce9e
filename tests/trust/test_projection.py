"""A feed's schema and data: what they are made of, and what they cannot be made of."""

from typing import Any

import pytest

from bus.avro.codec import Codec
from bus.avro.compatibility import problems
from bus.avro.limits import MAX_NODES, admit
from bus.contracts import load_all
from bus.errors import InvalidSchema, NotVerified, UndecodableEvent
from bus.trust.projection import Projection

NAMED = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
ARRAY = {"type": "array", "items": "int"}


def schema(*types: Any) -> dict[str, Any]:
    fields = [{"name": f"f{n}", "type": type_} for n, type_ in enumerate(types)]
    return {"type": "record", "name": "R", "fields": fields}


@pytest.mark.parametrize(
    ("type_", "on_a_feed", "value", "given", "withheld"),
    [
        pytest.param("string", ["string", "null"], "a", "00 02 61", "02", id="text"),
        pytest.param("null", "null", None, "", "", id="always null"),
        pytest.param(["null", "string"], ["null", "string"], None, "00", "00", id="null first"),
        pytest.param(["null", "string"], ["null", "string"], "a", "02 02 61", "00", id="text"),
        pytest.param(["string", "null"], ["string", "null"], "a", "00 02 61", "02", id="null last"),
        pytest.param(
            ["string", "int"],
            ["string", "int", "null"],
            1,
            "02 02",
            "04",
            id="one branch more",
        ),
        pytest.param(NAMED, [NAMED, "null"], "B", "00 02", "02", id="a named type"),
        pytest.param(ARRAY, [ARRAY, "null"], [1], "00 02 02 00", "02", id="an array"),
    ],
)
def test_a_field(type_: Any, on_a_feed: Any, value: Any, given: str, withheld: str) -> None:
    source = schema(type_)
    projection = Projection(source)
    assert projection.feed["fields"][0]["type"] == on_a_feed
    pieces = projection.split(Codec(source).encode({"f0": value}))
    assert projection.join(pieces) == bytes.fromhex(given)
    assert projection.join([None]) == bytes.fromhex(withheld)
    assert Codec(projection.feed).decode(bytes.fromhex(given)) == {"f0": value}
    assert Codec(projection.feed).decode(bytes.fromhex(withheld)) == {"f0": None}
    assert projection.split_feed(bytes.fromhex(given), [True]) == pieces
    assert projection.split_feed(bytes.fromhex(withheld), [False]) == [None]


def test_a_union_of_many_branches_counts_on_in_two_bytes() -> None:
    many = [{"type": "fixed", "name": f"F{n}", "size": 1} for n in range(64)]
    assert Projection(schema(many)).join([None]) == bytes.fromhex("80 01")


def test_a_type_that_is_named_once_and_used_again() -> None:
    point = {"type": "record", "name": "P", "fields": [{"name": "x", "type": "int"}]}
    source = schema(point, "P", ["null", "P"])
    projection = Projection(source)
    data = {"f0": {"x": 1}, "f1": {"x": 2}, "f2": {"x": 3}}
    pieces = projection.split(Codec(source).encode(data))
    given = projection.join([None, *pieces[1:]])
    assert Codec(projection.feed).decode(given) == data | {"f0": None}


def test_defaults_and_documentation_stay() -> None:
    source = schema("string")
    source["fields"][0] |= {"default": "x", "doc": "Text."}
    projection = Projection(source | {"doc": "A record."})
    field = projection.feed["fields"][0]
    assert (field["default"], field["doc"]) == ("x", "Text.")
    assert projection.feed["doc"] == "A record."
    admit(projection.feed)


@pytest.mark.parametrize(
    ("data", "given", "error"),
    [
        pytest.param("02", True, NotVerified, id="given, and null"),
        pytest.param("00 02 61", False, NotVerified, id="withheld, and there"),
        pytest.param("04", True, UndecodableEvent, id="no such branch"),
        pytest.param("00 04 61", True, UndecodableEvent, id="cut off"),
        pytest.param("00 02 61 00", True, UndecodableEvent, id="bytes left over"),
        pytest.param("", True, UndecodableEvent, id="nothing"),
    ],
)
def test_data_that_is_not_what_the_headers_say(
    data: str, given: bool, error: type[Exception]
) -> None:
    with pytest.raises(error):
        Projection(schema("string")).split_feed(bytes.fromhex(data), [given])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param("string", "is a record", id="no record"),
        pytest.param(schema("nothing"), "nothing", id="a type that is not there"),
        pytest.param(
            schema({"type": "record", "name": "Q", "fields": [{"name": "q", "type": "Q"}]}),
            "Q",
            id="a type within itself",
        ),
        pytest.param(
            schema(*["int"] * (MAX_NODES - 1)),
            "more than 2000 types",
            id="a feed's schema would be too large",
        ),
    ],
)
def test_schemas_of_which_no_feed_can_be_made(source: Any, said: str) -> None:
    with pytest.raises(InvalidSchema, match=said):
        Projection(source)


def test_versions_that_are_compatible_stay_so_on_a_feed() -> None:
    """A feed's subject has the same promise as the contract's."""
    several = [contract.versions for contract in load_all() if len(contract.versions) > 1]
    assert several
    for versions in several:
        feeds = [Projection(version).feed for version in versions]
        assert list(problems("FULL_TRANSITIVE", admit(feeds[-1]), feeds[:-1])) == []
