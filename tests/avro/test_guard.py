"""Bytes that anybody may have written: refused quickly, whatever they are."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.avro.codec import Codec
from bus.avro.encode import long
from bus.avro.guard import MAX_ITEMS, Malformed, read_long
from bus.contracts import load_all
from bus.errors import UndecodableEvent
from tests.avro.test_codec import CODEC, EVERYTHING


def field(type_: Any) -> Codec:
    return Codec({"type": "record", "name": "R", "fields": [{"name": "f", "type": type_}]})


ARRAY = {"type": "array", "items": "int"}
MAP = {"type": "map", "values": "int"}
ENUM = {"type": "enum", "name": "E", "symbols": ["A", "B"]}


@pytest.mark.parametrize(
    ("type_", "data", "what"),
    [
        pytest.param("string", b"", "end within a number", id="nothing"),
        pytest.param("string", b"\x04a", "past the end", id="text cut off"),
        pytest.param("string", b"\x02\xff", "utf-8", id="text that is no UTF-8"),
        pytest.param("string", b"\x01", "past the end", id="a negative length"),
        pytest.param("string", b"\x80\x80\x80\x80\x08", "past the end", id="a gibibyte"),
        pytest.param("bytes", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "past", id="2**63"),
        pytest.param("long", b"\x80", "end within a number", id="a number cut off"),
        pytest.param("long", b"\x82\x00", "longer than it has to be", id="an overlong number"),
        pytest.param("long", b"\x80" * 10 + b"\x01", "ten bytes", id="eleven bytes"),
        pytest.param("long", b"\xff" * 9 + b"\x02", "64 bits", id="65 bits"),
        pytest.param("int", b"\x80\x80\x80\x80\x10", "32 bits", id="33 bits"),
        pytest.param("boolean", b"\x02", "neither 0 nor 1", id="no boolean"),
        pytest.param("double", b"\x00" * 7, "end within a number", id="a double cut off"),
        pytest.param("int", b"\x00\x00", "1 bytes are left over", id="a byte left over"),
        pytest.param(["null", "int"], b"\x01", "index -1", id="a negative branch"),
        pytest.param(["null", "int"], b"\x04", "index 2", id="a branch past the end"),
        pytest.param(ENUM, b"\x01", "index -1", id="a negative symbol"),
        pytest.param(ENUM, b"\x04", "index 2", id="a symbol past the end"),
        pytest.param(ARRAY, b"\x80\x94\xeb\xdc\x03", "items in", id="a billion items"),
        pytest.param(ARRAY, b"\x01\x80\x80\x80\x80\x08", "past the end", id="a block's size"),
        pytest.param(ARRAY, b"\x01\x01\x00", "past the end", id="a negative size of a block"),
        pytest.param(ARRAY, b"\x02\x02", "end within", id="a list without end"),
        pytest.param(MAP, b"\x04\x02a\x02\x02a\x04\x00", "same name twice", id="a name twice"),
        pytest.param(
            {"type": "fixed", "name": "F", "size": 4}, b"abc", "past the end", id="fixed cut off"
        ),
        pytest.param(
            {"type": "int", "logicalType": "date"},
            b"\x80\x80\x80\x80\x08",
            "not what its schema says",
            id="no such day",
        ),
        pytest.param(
            {"type": "long", "logicalType": "timestamp-micros"},
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            "not what its schema says",
            id="no such moment",
        ),
        pytest.param(
            {"type": "long", "logicalType": "time-micros"},
            b"\x01",
            "no time of day",
            id="-1 us",
        ),
        pytest.param(
            {"type": "bytes", "logicalType": "decimal", "precision": 4},
            b"\x06\x7f\xff\xff",
            "more than 4 digits",
            id="a decimal of too many digits",
        ),
        pytest.param(
            {"type": "string", "logicalType": "uuid"}, b"\x02x", "not what its", id="no UUID"
        ),
    ],
)
def test_what_is_refused(type_: Any, data: bytes, what: str) -> None:
    with pytest.raises(UndecodableEvent, match=what) as caught:
        field(type_).decode(data)
    assert caught.value.reason == "bad-data"


def test_a_block_with_its_size_is_fine() -> None:
    assert field(ARRAY).decode(b"\x03\x04\x02\x04\x00") == {"f": [1, 2]}


def test_the_number_of_items_is_limited_over_all_blocks() -> None:
    count = MAX_ITEMS // 2 + 1
    data = (long(count) + b"\x00" * count) * 2 + b"\x00"
    with pytest.raises(UndecodableEvent, match="more than 100000 items"):
        field(ARRAY).decode(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xfe\xff\xff\xff\x0f" + b"\x00" * 1_000_000, id="items without end"),
        pytest.param(b"\x80" * 1_000_000, id="a number without end"),
    ],
)
def test_what_is_hostile_is_refused_at_once(data: bytes) -> None:
    before = time.process_time()
    with pytest.raises(UndecodableEvent):
        field(ARRAY).decode(data)
    assert time.process_time() - before < 0.1


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=80))
def test_any_bytes_are_an_event_or_undecodable(data: bytes) -> None:
    for contract in CONTRACTS:
        try:
            datum = contract.decode(data)
        except UndecodableEvent:
            continue
        assert contract.encode(datum) == data


@settings(deadline=None, max_examples=60)
@given(EVERYTHING, st.data())
def test_any_change_of_a_byte_is_another_event_or_undecodable(
    datum: dict[str, Any], draw: st.DataObject
) -> None:
    data = CODEC.encode(datum)
    at = draw.draw(st.integers(0, len(data) - 1))
    changed = data[:at] + bytes([data[at] ^ draw.draw(st.integers(1, 255))]) + data[at + 1 :]
    try:
        CODEC.decode(changed)
    except UndecodableEvent:
        return
    with pytest.raises(UndecodableEvent):
        CODEC.decode(changed + b"\x00")


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_number_has_one_encoding(number: int) -> None:
    data = field("long").encode({"f": number})
    assert read_long(data, 0) == (number, len(data))
    with pytest.raises(Malformed):
        read_long(data[:-1] + bytes([data[-1] | 0x80, 0]), 0)


CONTRACTS = [Codec(version) for contract in load_all() for version in contract.versions]
