"""The codec: fastavro is the oracle for what is right, tables say what is refused."""

import io
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.avro.codec import Codec, projection
from bus.errors import InvalidEvent, InvalidSchema

NESTED = {
    "type": "record",
    "name": "Everything",
    "fields": [
        {"name": "flag", "type": "boolean"},
        {"name": "small", "type": "int"},
        {"name": "large", "type": "long"},
        {"name": "single", "type": "float"},
        {"name": "real", "type": "double"},
        {"name": "raw", "type": "bytes"},
        {"name": "text", "type": "string"},
        {"name": "four", "type": {"type": "fixed", "name": "Four", "size": 4}},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B", "C"]}},
        {"name": "maybe", "type": ["null", "string"]},
        {"name": "either", "type": ["null", "boolean", "long", "string", "bytes"]},
        {"name": "list", "type": {"type": "array", "items": ["null", "long"]}},
        {"name": "map", "type": {"type": "map", "values": "string"}},
        {
            "name": "inner",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Inner",
                    "fields": [{"name": "again", "type": "Kind"}, {"name": "n", "type": "int"}],
                },
            },
        },
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "millis", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "micros", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "clock", "type": {"type": "long", "logicalType": "time-micros"}},
        {
            "name": "money",
            "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2},
        },
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
    ],
}

int32 = st.integers(-(2**31), 2**31 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001

EVERYTHING = st.fixed_dictionaries(
    {
        "flag": st.booleans(),
        "small": int32,
        "large": int64,
        "single": st.floats(width=32, allow_nan=False),
        "real": st.floats(allow_nan=False),
        "raw": st.binary(max_size=40),
        "text": text,
        "four": st.binary(min_size=4, max_size=4),
        "kind": st.sampled_from("ABC"),
        "maybe": st.none() | text,
        "either": st.none() | st.booleans() | int64 | text | st.binary(max_size=9),
        "list": st.lists(st.none() | int64, max_size=5),
        "map": st.dictionaries(text, text, max_size=3),
        "inner": st.lists(
            st.fixed_dictionaries({"again": st.sampled_from("ABC"), "n": int32}), max_size=3
        ),
        "day": st.dates(),
        "millis": moments.map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)),
        "micros": moments,
        "clock": st.times(),
        "money": st.decimals(-(10**17), 10**17, places=2),
        "id": st.uuids(),
    }
)

CODEC = Codec(NESTED)
ORACLE = fastavro.parse_schema(NESTED)


@settings(deadline=None, max_examples=150)
@given(EVERYTHING)
def test_each_reads_what_the_other_wrote(datum: dict[str, Any]) -> None:
    data = CODEC.encode(datum)
    assert CODEC.decode(data) == datum
    assert fastavro.schemaless_reader(io.BytesIO(data), ORACLE) == datum
    written = io.BytesIO()
    fastavro.schemaless_writer(written, ORACLE, datum)
    # fastavro gives some decimals a byte more than they need, so bytes are not compared.
    assert CODEC.decode(written.getvalue()) == datum


def record(*fields: dict[str, Any]) -> Codec:
    return Codec({"type": "record", "name": "R", "fields": list(fields)})


def field(type_: Any) -> Codec:
    return record({"name": "f", "type": type_})


DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}
LIST = {"type": "array", "items": {"type": "record", "name": "I", "fields": [
    {"name": "n", "type": "int"}]}}  # fmt: skip
ENUM = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
NAIVE, PLUS_TWO = datetime(2026, 7, 1), timezone(timedelta(hours=2))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("type_", "value", "where", "what"),
    [
        pytest.param("int", True, "f", "bool True, wanted a whole number", id="a bool as int"),
        pytest.param("int", 1.0, "f", "float 1.0, wanted a whole number", id="a float as int"),
        pytest.param("int", 2**31, "f", "wanted a whole number of 32 bits", id="33 bits"),
        pytest.param("long", -(2**63) - 1, "f", "of 64 bits", id="65 bits"),
        pytest.param("long", "1", "f", "str '1'", id="text as number"),
        pytest.param("double", True, "f", "wanted a number", id="a bool as double"),
        pytest.param("double", 10**400, "f", "of 64 bits", id="a number past double"),
        pytest.param("float", 1e39, "f", "of 32 bits", id="a number past float"),
        pytest.param("boolean", 1, "f", "wanted True or False", id="1 as bool"),
        pytest.param("string", b"a", "f", "wanted text", id="bytes as text"),
        pytest.param("string", None, "f", "is empty, wanted text", id="nothing as text"),
        pytest.param("string", "\ud83d", "f", "half a surrogate pair", id="half a pair"),
        pytest.param("bytes", "a", "f", "wanted bytes", id="text as bytes"),
        pytest.param("null", 0, "f", "wanted nothing", id="something as nothing"),
        pytest.param(ENUM, "C", "f", "wanted one of A, B", id="no symbol"),
        pytest.param({"type": "fixed", "name": "F", "size": 2}, b"abc", "f", "2 bytes", id="fixed"),
        pytest.param(["null", "int"], "x", "f", "str 'x'", id="no branch of a union"),
        pytest.param(["int", "string"], True, "f", "bool True", id="a bool in a union of int"),
        pytest.param(LIST, [{"n": 1}, {"n": "x"}], "f[1].n", "str 'x'", id="deep in a list"),
        pytest.param(
            LIST, [{"n": 1, "m": 2}], "f[0].m", "no field of the contract", id="deep name"
        ),
        pytest.param(LIST, "ab", "f", "wanted a list", id="text as list"),
        pytest.param({"type": "map", "values": "int"}, {"k": "x"}, "f{k}", "str", id="in a map"),
        pytest.param({"type": "map", "values": "int"}, {1: 1}, "f{1}", "wanted text", id="key"),
        pytest.param(
            {"type": "int", "logicalType": "date"}, NAIVE, "f", "wanted a date", id="no date"
        ),
        pytest.param(
            {"type": "long", "logicalType": "timestamp-micros"}, NAIVE, "f", "time zone", id="naive"
        ),
        pytest.param(
            {"type": "long", "logicalType": "timestamp-millis"},
            datetime(2026, 7, 1, microsecond=1, tzinfo=UTC),
            "f",
            "whole milliseconds",
            id="microseconds where milliseconds are kept",
        ),
        pytest.param(
            {"type": "long", "logicalType": "timestamp-micros"}, 0, "f", "time zone", id="a number"
        ),
        pytest.param(DECIMAL, Decimal("100.00"), "f", "at most 4 digits", id="too many digits"),
        pytest.param(DECIMAL, Decimal("1.001"), "f", "2 of them after", id="too fine a decimal"),
        pytest.param(DECIMAL, 1.5, "f", "a Decimal", id="a float as decimal"),
        pytest.param(DECIMAL, Decimal("NaN"), "f", "a Decimal", id="no number"),
        pytest.param(
            {"type": "string", "logicalType": "uuid"}, "x", "f", "wanted a UUID", id="no UUID"
        ),
    ],
)
def test_what_does_not_fit_is_named(type_: Any, value: Any, where: str, what: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        field(type_).encode({"f": value})
    assert caught.value.where == where
    assert what in caught.value.what


@pytest.mark.parametrize(
    ("datum", "where", "what"),
    [
        pytest.param({}, "f", "is missing", id="a missing field"),
        pytest.param(None, "", "is empty, wanted a dict of fields", id="nothing at all"),
        pytest.param([1], "", "wanted a dict of fields", id="a list"),
        pytest.param({"f": 1, "g": 2}, "g", 'did you mean "f"', id="a field that is none"),
    ],
)
def test_a_record_has_its_fields_and_no_others(datum: Any, where: str, what: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        field("int").encode(datum)
    assert caught.value.where == where
    assert what in str(caught.value) + caught.value.what or where == "g"


@pytest.mark.parametrize(
    ("type_", "default"),
    [
        pytest.param(["null", "int"], None, id="null"),
        pytest.param("string", "ä", id="text"),
        pytest.param("bytes", "\u00ff\u0000", id="bytes, written as text"),
        pytest.param({"type": "fixed", "name": "F", "size": 2}, "ab", id="fixed"),
        pytest.param(ENUM, "B", id="a symbol"),
        pytest.param({"type": "array", "items": "int"}, [1, 2], id="a list"),
        pytest.param({"type": "map", "values": "long"}, {"a": 1}, id="a map"),
        pytest.param({"type": "int", "logicalType": "date"}, 3, id="a date, written as number"),
        pytest.param("double", 1, id="a whole number as double"),
    ],
)
def test_a_field_with_a_default_may_be_left_out(type_: Any, default: Any) -> None:
    """fastavro reads the default of a field that the writer's schema does not have."""
    codec = record({"name": "f", "type": type_, "default": default})
    empty = {"type": "record", "name": "R", "fields": []}
    wanted = fastavro.schemaless_reader(
        io.BytesIO(b""), fastavro.parse_schema(empty), fastavro.parse_schema(codec.schema)
    )
    if isinstance(type_, dict) and "logicalType" in type_:
        wanted = {"f": date(1970, 1, 4)}
    elif type_ == "bytes" or (isinstance(type_, dict) and type_["type"] == "fixed"):
        wanted = {"f": default.encode("latin-1")}
    assert codec.decode(codec.encode({})) == wanted


def test_times_of_any_zone_are_instants() -> None:
    codec = field({"type": "long", "logicalType": "timestamp-micros"})
    at = datetime(2026, 7, 1, 2, tzinfo=PLUS_TWO)
    assert codec.decode(codec.encode({"f": at})) == {"f": datetime(2026, 7, 1, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        pytest.param({"type": "int", "logicalType": "time-millis"}, time(1, 2, 3, 4000), id="time"),
        pytest.param(
            {"type": "long", "logicalType": "local-timestamp-micros"}, NAIVE, id="local time"
        ),
        pytest.param({"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"},
                     UUID(int=5), id="uuid in a fixed"),
        pytest.param({**DECIMAL, "type": "fixed", "name": "D", "size": 4},
                     Decimal("-12.34"), id="decimal in a fixed"),
        pytest.param({"type": "int", "logicalType": "of-tomorrow"}, 5, id="unknown: plain type"),
        pytest.param(["null", {"type": "int", "logicalType": "date"}, "string"],
                     date(2026, 7, 1), id="date in a union"),
    ],
)  # fmt: skip
def test_further_logical_types(type_: Any, value: Any) -> None:
    codec = field(type_)
    assert codec.decode(codec.encode({"f": value})) == {"f": value}


@pytest.mark.parametrize("number", [0, 1, -1, 7, 127, 128, -128, -129, 9999, -9999])
def test_decimals_take_as_few_bytes_as_they_need(number: int) -> None:
    """As Java's ``BigInteger.toByteArray``."""
    size = next(n for n in (1, 2) if -(256**n) // 2 <= number < 256**n // 2)
    data = field(DECIMAL).encode({"f": Decimal(number).scaleb(-2)})
    assert data == bytes([2 * size]) + number.to_bytes(size, "big", signed=True)


def test_a_schema_past_the_limits_has_no_codec() -> None:
    loop = {"type": "record", "name": "R", "fields": [{"name": "r", "type": ["null", "R"]}]}
    with pytest.raises(InvalidSchema, match="contains itself"):
        Codec(loop)


def test_a_projection_reads_as_another_version() -> None:
    old = field("int")
    newer = {
        "type": "record",
        "name": "R",
        "fields": [
            {"name": "f", "type": "long"},
            {"name": "g", "type": "string", "default": "none"},
        ],
    }
    assert projection(old, newer)(old.encode({"f": 7})) == {"f": 7, "g": "none"}
    assert projection(Codec(newer), old.schema | {"fields": [{"name": "g", "type": "string"}]})(
        Codec(newer).encode({"f": 7, "g": "x"})
    ) == {"g": "x"}
