"""Taking batches apart: what is in order as aiokafka does, and what lies without ever raising."""

import struct
from contextlib import suppress
from typing import Any

import cramjam
import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import BusUnavailable
from bus.kafka import Fetched
from bus.kafka import unpack as module
from bus.kafka.unpack import unpack
from tests.kafka.batches import (
    APPENDED,
    CONTROL,
    LOG_APPEND_TIME,
    TIME,
    TRANSACTIONAL,
    at,
    record,
    sealed,
)

PLACE = ("test.topic.v1", 3)
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
PLAIN: list[tuple[bytes | None, bytes | None, list[Any]]] = [
    (b"k", b"v", []),
    (None, None, [("a", b"1"), ("a", None), ("Größe", b"")]),
    (b"", b"x" * 100_000, [("long", b"y" * 300)]),
]


def built(codec: int) -> bytes:
    """Return a batch as aiokafka writes it."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 2**24)
    for number, (key, value, headers) in enumerate(PLAIN):
        assert builder.append(number, TIME + number * 1000, key, value, headers) is not None
    return bytes(builder.build())


def two(last: bytes = b"") -> bytes:
    return record(0) + record(1) + last


GOOD = sealed(record(0), 1)


@pytest.mark.parametrize(
    "codec", [pytest.param(number, id=name) for name, number in CODECS.items()]
)
def test_what_is_in_order_is_read_as_it_was_written(codec: int) -> None:
    found, following = unpack(PLACE, at(built(codec), 70), 70)
    assert following == 73
    assert found == [
        Fetched(*PLACE, 70 + n, TIME + n * 1000, key, value, tuple(headers))
        for n, (key, value, headers) in enumerate(PLAIN)
    ]


def test_raw_snappy_is_read_too() -> None:
    batch = sealed(bytes(cramjam.snappy.compress_raw(two())), 2, flags=2)
    assert [r.value for r in unpack(PLACE, batch, 0)[0]] == [b"v", b"v"]


def test_the_time_is_the_brokers_where_it_sets_it() -> None:
    (found,), _ = unpack(PLACE, sealed(record(0), 1, flags=LOG_APPEND_TIME), 0)
    assert found.timestamp_ms == APPENDED


def test_a_header_whose_name_is_no_utf_8_is_told_and_its_neighbours_are_read() -> None:
    body = record(0) + record(1, header=b"a\xff\xfe\\") + record(2, header="ö".encode())
    (first, odd, last), following = unpack(PLACE, sealed(body, 3), 0)
    assert (first.fault, last.fault, following) == ("", "", 3)
    assert odd.fault == r"a header's name is no UTF-8: a\xff\xfe" + "\\"
    assert (odd.key, odd.value, odd.headers) == (b"k", b"v", (("a\\xff\\xfe\\", b"h"),))
    assert not odd.is_batch


def packed(codec: str, size: int) -> bytes:
    data = bytes(size)
    if codec == "snappy":
        return bytes(cramjam.snappy.compress_raw(data))
    return bytes(getattr(cramjam, codec).compress(data))


LIES = [
    pytest.param(sealed(b"garbage", 2, flags=1), "damaged", id="gzip that is none"),
    pytest.param(sealed(b"garbage", 2, flags=2), "damaged", id="snappy that is none"),
    pytest.param(sealed(b"garbage", 2, flags=3), "damaged", id="lz4 that is none"),
    pytest.param(sealed(b"garbage", 2, flags=4), "damaged", id="zstd that is none"),
    pytest.param(sealed(two(), 2, flags=5), "no codec 5", id="a codec that does not exist"),
    pytest.param(
        sealed(module._XERIAL + bytes(8) + b"\0\0\1\0abc", 2, flags=2),
        "damaged",
        id="a snappy chunk that ends early",
    ),
    pytest.param(sealed(b"", 2), "not 2 records", id="no records at all"),
    pytest.param(sealed(two()[:-1], 2), "ends early", id="a record too few"),
    pytest.param(sealed(two(), 2_000_000, last=1), "not 2000000 records", id="a count that lies"),
    pytest.param(sealed(two(), -1, last=1), "not -1 records", id="a negative count"),
    pytest.param(sealed(two(b"\0"), 2), "left over", id="bytes left over"),
    pytest.param(sealed(two()[:-1] + b"\1", 2), "less than no headers", id="negative headers"),
    pytest.param(sealed(record(0) + b"\x12" + two()[10:], 2), "length", id="a length that lies"),
    pytest.param(sealed(record(0) + record(0), 2), "do not rise", id="offsets that repeat"),
    pytest.param(sealed(record(0) + record(60), 2), "go past", id="an offset past the last"),
    pytest.param(sealed(b"\xff" * 40, 2), "64 bits", id="a number without end"),
    pytest.param(sealed(b"\x20\0\0\0\x7e" + b"k" * 12, 2), "past its end", id="a key without end"),
    *(
        pytest.param(
            sealed(packed(codec, module.LARGEST + 1), 2, flags=CODECS[codec]),
            str(module.LARGEST),
            id=f"{codec} that unpacks to too much",
        )
        for codec in ("gzip", "snappy", "lz4", "zstd")
    ),
]


@pytest.mark.parametrize(("lie", "why"), LIES)
def test_a_batch_that_lies_is_one_record_and_its_neighbours_are_read(lie: bytes, why: str) -> None:
    data = at(GOOD, 9) + at(lie, 10) + at(GOOD, 12)
    found, following = unpack(PLACE, data, 9)
    assert [(r.offset, bool(r.fault)) for r in found] == [(9, False), (11, True), (12, False)]
    assert following == 13
    whole = found[1]
    assert whole.is_batch
    assert why in whole.fault
    assert (whole.key, whole.value, whole.headers) == (None, at(lie, 10), ())
    assert whole.timestamp_ms == APPENDED


def test_a_format_that_is_no_longer_read() -> None:
    old = struct.pack(">qiibb", 5, 10, 0, 1, 0) + bytes(4)
    (found,), following = unpack(PLACE, old, 5)
    assert (found.is_batch, found.offset, found.value, following) == (True, 5, old, 6)


def test_what_lies_before_the_offset_is_left_out() -> None:
    data = at(GOOD, 4) + at(sealed(record(0) + record(1) + record(2), 3), 5)
    found, following = unpack(PLACE, data, 6)
    assert ([r.offset for r in found], following) == ([6, 7], 8)


def test_a_batch_that_is_cut_off_is_read_another_time() -> None:
    found, following = unpack(PLACE, GOOD + at(GOOD, 1)[:-1], 0)
    assert ([r.offset for r in found], following) == ([0], 1)


def test_a_damaged_batch_is_not_trusted() -> None:
    damaged = at(GOOD[:-1] + b"\1", 1)
    assert unpack(PLACE, GOOD + damaged + at(GOOD, 2), 0)[1] == 1
    with pytest.raises(BusUnavailable, match=r"test\.topic\.v1-3 at 1: .* damaged"):
        unpack(PLACE, damaged + at(GOOD, 2), 1)


def test_what_a_transaction_took_back_is_left_out() -> None:
    """Producer 7 takes back 0 and 1, then writes 4; producer 8 writes 2 meanwhile."""
    mark = sealed(record(0), 1, flags=TRANSACTIONAL | CONTROL, pid=7)
    seven, eight = (sealed(record(0), 1, flags=TRANSACTIONAL, pid=p) for p in (7, 8))
    batches = [seven, seven, eight, mark, seven, mark]
    data = b"".join(at(batch, offset) for offset, batch in enumerate(batches))
    found, following = unpack(PLACE, data, 0, [(7, 0)])
    assert ([r.offset for r in found], following) == ([2, 4], 6)


@given(st.integers(0, 7), st.binary(max_size=200), st.integers(-3, 30))
def test_whatever_is_inside_nothing_is_raised(codec: int, body: bytes, count: int) -> None:
    found, following = unpack(PLACE, at(sealed(body, count, last=29, flags=codec), 5), 5)
    assert following == 35
    assert all(5 <= r.offset < 35 for r in found)


@given(st.binary(max_size=200))
def test_whatever_comes_it_is_said_or_skipped(data: bytes) -> None:
    with suppress(BusUnavailable):
        unpack(PLACE, data, 0)
