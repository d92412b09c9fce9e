"""The compatibility rules: Avro's own verdicts, our levels, and every sentence of a refusal."""

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import fastavro.utils
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.avro.compatibility import LEVELS, can_read, problems
from bus.errors import InvalidSchema

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "avro-compatibility.jsonl").read_text().splitlines()
]


def record(*fields: Any, name: str = "R", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def field(name: str, type_: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, **more}


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "Cause", "symbols": list(symbols), **more}


A = field("a", "int")
WITH_DEFAULT = field("b", "string", default="")
WITHOUT = field("b", "string")
OPTIONAL = field("b", ["null", "string"], default=None)


def test_there_are_all_of_avros_cases() -> None:
    assert len(CASES) == 159


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_avros_own_verdicts(case: dict[str, Any]) -> None:
    assert can_read(case["reader"], case["writer"]) is case["compatible"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
@pytest.mark.parametrize("level", LEVELS)
def test_avros_own_verdicts_in_every_level(level: str, case: dict[str, Any]) -> None:
    reader, writer, compatible = case["reader"], case["writer"], case["compatible"]
    new_reads_old, old_reads_new, _ = LEVELS[level]
    turned = can_read(writer, reader)
    as_new_reader = (compatible or not new_reads_old) and (turned or not old_reads_new)
    as_new_writer = (turned or not new_reads_old) and (compatible or not old_reads_new)
    assert (not list(problems(level, reader, [writer]))) is as_new_reader
    assert (not list(problems(level, writer, [reader]))) is as_new_writer


@pytest.mark.parametrize(
    ("level", "new", "history", "fits"),
    [
        pytest.param(*case[:-1], id=case[-1])
        for case in [
            ("NONE", "int", ["string"], True, "none: anything goes"),
            ("BACKWARD", record(A, OPTIONAL), [record(A)], True, "backward: optional may be added"),
            ("BACKWARD", record(A, WITHOUT), [record(A)], False, "backward: required may not"),
            ("BACKWARD", record(A), [record(A, WITHOUT)], True, "backward: any may be removed"),
            ("FORWARD", record(A, WITHOUT), [record(A)], True, "forward: required may be added"),
            ("FORWARD", record(A), [record(A, WITHOUT)], False, "forward: required may not go"),
            ("FORWARD", record(A), [record(A, OPTIONAL)], True, "forward: optional may go"),
            ("FULL", record(A, WITH_DEFAULT), [record(A)], True, "full: with default may be added"),
            ("FULL", record(A, WITHOUT), [record(A)], False, "full: required may not be added"),
            ("FULL", record(A), [record(A, WITHOUT)], False, "full: required may not be removed"),
            ("BACKWARD", "long", ["string", "int"], True, "backward: only the latest counts"),
            ("BACKWARD_TRANSITIVE", "long", ["string", "int"], False, "transitive: all count"),
            ("FORWARD", "int", ["string", "long"], True, "forward: only the latest counts"),
            ("FORWARD_TRANSITIVE", "int", ["string", "long"], False, "transitive: all count "),
            ("FULL", "int", ["string", "int"], True, "full: only the latest counts"),
            ("FULL_TRANSITIVE", "int", ["string", "int"], False, "transitive: all count  "),
            ("FULL_TRANSITIVE", "int", [], True, "the first version fits"),
        ]
    ],
)
def test_levels(level: str, new: Any, history: list[Any], fits: bool) -> None:
    assert (not list(problems(level, new, history))) is fits


def test_an_unknown_level_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        list(problems("SIDEWAYS", "int", []))


def test_a_schema_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidSchema):
        list(problems("FULL", "integer", []))


OLD_READER = ": an old reader cannot read new events"
NEW_READER = ": a new reader cannot read old events"
WIDENS = " (Avro widens int to long, but never narrows long to int)"


@pytest.mark.parametrize(
    ("old", "new", "sentences"),
    [
        pytest.param(*case[1:], id=case[0])
        for case in [
            (
                "a field in an array's items was removed",
                record(
                    field("addresses", {"type": "array", "items": record(A, WITHOUT, name="I")})
                ),
                record(field("addresses", {"type": "array", "items": record(A, name="I")})),
                ["`addresses[].b` was removed without a default that an old reader could use"],
            ),
            (
                "a field in a map's values was added",
                record(field("by_day", {"type": "map", "values": record(A, name="I")})),
                record(field("by_day", {"type": "map", "values": record(A, WITHOUT, name="I")})),
                ["`by_day{}.b` was added without a default that a new reader could use"],
            ),
            (
                "a field in an optional record was removed",
                record(field("at", ["null", record(A, WITHOUT, name="I")])),
                record(field("at", ["null", record(A, name="I")])),
                ["`at.b` was removed without a default that an old reader could use"],
            ),
            (
                "a field in one of several branches was removed",
                record(field("at", ["string", record(A, WITHOUT, name="I")])),
                record(field("at", ["string", record(A, name="I")])),
                ["`at<I>.b` was removed without a default that an old reader could use"],
            ),
            (
                "the items of an array in a branch changed",
                record(field("at", ["string", {"type": "array", "items": "int"}])),
                record(field("at", ["string", {"type": "array", "items": "boolean"}])),
                [
                    (
                        "`at<array>[]` was int, is now boolean: a new reader cannot read old "
                        "events and an old reader cannot read new events"
                    )
                ],
            ),
            (
                "a type changed",
                record(field("count", "string")),
                record(field("count", "int")),
                [
                    (
                        "`count` was string, is now int: a new reader cannot read old events and "
                        "an old reader cannot read new events"
                    )
                ],
            ),
            (
                "a type was widened",
                record(field("count", "int")),
                record(field("count", "long")),
                [f"`count` was int, is now long{OLD_READER}{WIDENS}"],
            ),
            (
                "a type was narrowed",
                record(field("count", "long")),
                record(field("count", "int")),
                [f"`count` was long, is now int{NEW_READER}{WIDENS}"],
            ),
            (
                "an optional type was widened",
                record(field("count", ["null", "int"])),
                record(field("count", ["null", "long"])),
                [f"`count` was int, is now long{OLD_READER}{WIDENS}"],
            ),
            (
                "a field became optional",
                record(field("count", "int")),
                record(field("count", ["null", "int"])),
                [f"`count` now allows null{OLD_READER}"],
            ),
            (
                "a field became required",
                record(field("count", ["null", "int"])),
                record(field("count", "int")),
                [f"`count` no longer allows null{NEW_READER}"],
            ),
            (
                "a branch was added",
                record(field("v", ["null", "int", "string"])),
                record(field("v", ["null", "int", "string", "boolean"])),
                [f"`v` now allows boolean{OLD_READER}"],
            ),
            (
                "a branch was removed",
                record(field("v", ["int", "string", record(A, name="I")])),
                record(field("v", ["int", "string"])),
                [f"`v` no longer allows record I{NEW_READER}"],
            ),
            (
                "a symbol was added",
                record(field("cause", enum("MOVE"))),
                record(field("cause", enum("MOVE", "BIRTH"))),
                [
                    (
                        '`cause` gained the symbol "BIRTH", but had no enum default that an old '
                        "reader could use"
                    )
                ],
            ),
            (
                "symbols were removed",
                record(field("cause", enum("MOVE", "BIRTH", "DEATH"))),
                record(field("cause", enum("MOVE"))),
                [
                    (
                        '`cause` lost the symbols "BIRTH" and "DEATH", but has no enum default '
                        "that a new reader could use"
                    )
                ],
            ),
            (
                "a default of the field does not help an enum",
                record(field("cause", enum("MOVE"), default="MOVE")),
                record(field("cause", enum("MOVE", "BIRTH"), default="MOVE")),
                [
                    (
                        '`cause` gained the symbol "BIRTH", but had no enum default that an old '
                        "reader could use"
                    )
                ],
            ),
            (
                "an enum with a default may gain and lose symbols",
                enum("MOVE", "UNKNOWN", default="UNKNOWN"),
                enum("BIRTH", "UNKNOWN", default="UNKNOWN"),
                [],
            ),
            (
                "a fixed changed its size",
                record(field("id", {"type": "fixed", "name": "Id", "size": 8})),
                record(field("id", {"type": "fixed", "name": "Id", "size": 16})),
                [
                    (
                        "`id` was 8 bytes long, is now 16 bytes long: a new reader cannot read old "
                        "events and an old reader cannot read new events"
                    )
                ],
            ),
            (
                "a record was renamed",
                record(A, name="Old"),
                record(A, name="New"),
                [
                    (
                        "the schema was named Old, is now named New without an alias: a new reader "
                        "cannot read old events and an old reader cannot read new events"
                    )
                ],
            ),
            (
                "an alias helps new readers only",
                record(A, name="Old"),
                record(A, name="New", aliases=["Old"]),
                [f"the schema was named Old, is now named New without an alias{OLD_READER}"],
            ),
            (
                "a field's alias helps new readers only",
                record(A),
                record(field("b", "int", aliases=["a"])),
                ["`a` was removed without a default that an old reader could use"],
            ),
            (
                "an alias that fits two fields",
                record(A, field("b", "int")),
                record(field("b", "int", aliases=["a"]), field("c", "int", default=0)),
                [
                    (
                        "`b` may stand for more than one field by its aliases, `b` and `a`: a new "
                        "reader cannot read old events"
                    ),
                    "`a` was removed without a default that an old reader could use",
                ],
            ),
            (
                "a namespace does not matter",
                record(A, namespace="de.old"),
                record(A, namespace="de.new"),
                [],
            ),
            ("text and bytes read each other", "string", "bytes", []),
            (
                "the schema itself changed",
                record(A),
                enum("A"),
                [
                    (
                        "the schema was record R, is now enum Cause: a new reader cannot read old "
                        "events and an old reader cannot read new events"
                    )
                ],
            ),
            (
                "each version that is broken is named once",
                record(A, WITHOUT, field("c", "int", default=0)),
                record(A),
                ["`b` was removed without a default that an old reader could use"],
            ),
        ]
    ],
)
def test_sentences(old: Any, new: Any, sentences: list[str]) -> None:
    assert list(problems("FULL", new, [old])) == sentences
    assert list(problems("FULL_TRANSITIVE", new, [old, old])) == sentences


LEAVES = st.sampled_from(["null", "boolean", "int", "long", "float", "double", "bytes", "string"])
TYPES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda items: {"type": "array", "items": items}),
        inner.map(lambda values: {"type": "map", "values": values}),
        st.lists(LEAVES, min_size=1, max_size=3, unique=True),
    ),
    max_leaves=4,
)
FIELDS = st.lists(TYPES, max_size=5)


def numbered(types: list[Any]) -> dict[str, Any]:
    return record(*(field(f"f{number}", type_) for number, type_ in enumerate(types)))


@given(FIELDS, st.sampled_from(list(LEVELS)))
def test_every_schema_is_compatible_with_itself(types: list[Any], level: str) -> None:
    schema = numbered(types)
    assert list(problems(level, schema, [schema, schema])) == []


@given(FIELDS, LEAVES.filter(lambda leaf: leaf != "null"))
def test_an_optional_field_may_always_come_and_go(types: list[Any], leaf: str) -> None:
    schema = numbered(types)
    grown = record(*schema["fields"], field("more", ["null", leaf], default=None))
    assert list(problems("FULL_TRANSITIVE", grown, [schema])) == []
    assert list(problems("FULL_TRANSITIVE", schema, [grown])) == []


@given(FIELDS, FIELDS)
def test_full_is_backward_and_forward(old_types: list[Any], new_types: list[Any]) -> None:
    old, new = numbered(old_types), numbered(new_types)
    backward = not list(problems("BACKWARD", new, [old]))
    forward = not list(problems("FORWARD", new, [old]))
    assert (not list(problems("FULL", new, [old]))) is (backward and forward)
    assert list(problems("BACKWARD", new, [old])) == [] or can_read(new, old) is False


def test_types_that_contain_themselves_are_compared_to_the_end() -> None:
    node = record(field("next", ["null", "R"]), field("v", "int"))
    other = record(field("next", ["null", "R"]), field("v", "string"))
    assert len(list(problems("BACKWARD", other, [node]))) == 1


def decodable(case: dict[str, Any]) -> bool:
    """Leave out what has no data (no branch, no end), and bytes that may be no text."""
    texts = case["reader"] + case["writer"]
    return bool(case["compatible"]) and not (
        "[]" in (case["reader"], case["writer"])
        or '"List"' in texts
        or "Node" in texts
        or ('"bytes"' in case["writer"] and '"string"' in case["reader"])
    )


@pytest.mark.parametrize("case", [c for c in CASES if decodable(c)], ids=lambda case: case["case"])
def test_fastavro_reads_what_is_called_compatible(case: dict[str, Any]) -> None:
    reader, writer = (fastavro.parse_schema(json.loads(case[k])) for k in ("reader", "writer"))
    for datum in fastavro.utils.generate_many(writer, 5):
        encoded = io.BytesIO()
        fastavro.schemaless_writer(encoded, writer, datum)
        encoded.seek(0)
        fastavro.schemaless_reader(encoded, writer, reader)
        assert encoded.read() == b""


def test_large_unions_are_compared_branch_by_branch() -> None:
    """Each branch meets its namesakes only, not all others: a million pairs took seconds."""
    names = [f"E{number}" for number in range(1500)]
    union = [{"type": "enum", "name": name, "symbols": ["A"]} for name in names]
    changed = [{"type": "enum", "name": name, "symbols": ["B"]} for name in names]
    assert can_read(union, union[::-1])
    assert len(list(problems("BACKWARD", changed, [union]))) == len(names)
