"""Batches whose CRC is true and whose inside is not what the header says."""

import gzip
import resource
import struct
from collections.abc import Callable

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from bus.broker import Broker
from bus.broker.batch import HEADER, BadBatch, Header
from bus.broker.records import check_inside
from tests.broker.raw import CODECS, Raw, batch, wrapped

LIMIT = 2**20
LAST = 2**40 - 2**20 - 1
"""The last offset that records may have: those behind are for the ends of transactions."""

INVALID, TOO_LARGE = ErrorCode.invalid_record, ErrorCode.message_too_large

PACK: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "snappy": lambda data: bytes(cramjam.snappy.compress_raw(data)),
    "lz4": lambda data: bytes(cramjam.lz4.compress(data)),
    "zstd": lambda data: bytes(cramjam.zstd.compress(data)),
}
COMPRESSED = [name for name in CODECS if name != "none"]


def number(value: int) -> bytes:
    """Return a zigzag varint."""
    value, made = (value << 1) ^ (value >> 63), bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])


def field(data: bytes | None) -> bytes:
    """Return bytes after their length; null has -1."""
    return number(-1) if data is None else number(len(data)) + data


def record(
    delta: int,
    *,
    key: bytes | None = b"key",
    value: bytes | None = b"value",
    headers: bytes = b"\0",
    longer: int = 0,
) -> bytes:
    """Return a record whose length is off by so much; its headers come with their number."""
    body = b"\0" + number(delta * 100) + number(delta) + field(key) + field(value) + headers
    return number(len(body) + longer) + body


def inside(records: bytes, count: int, *, codec: str = "none", keyed: bool = False) -> ErrorCode:
    """Return what is answered to a batch with these records."""
    made = wrapped(PACK[codec](records), count, CODECS[codec])
    return verdict(made, keyed=keyed)


def verdict(made: bytes, *, keyed: bool = False) -> ErrorCode:
    """Return what is answered to a batch."""
    header = Header._make(HEADER.unpack_from(made))
    try:
        check_inside(made, header, limit=LIMIT, keyed=keyed)
    except BadBatch as refused:
        return refused.error
    return ErrorCode.none


LIES = [
    pytest.param(record(0) + record(1) + record(2), 1, id="more records than the header says"),
    pytest.param(record(0), 10, id="fewer records than the header says"),
    pytest.param(record(0), 2**31 - 1, id="as many as there can be"),
    pytest.param(b"", 1, id="no record"),
    pytest.param(record(0) + b"\0", 1, id="bytes after the last"),
    pytest.param(record(0, longer=1), 1, id="a record that ends late"),
    pytest.param(record(0, longer=-1) + record(1), 2, id="a record that ends early"),
    pytest.param(record(0, longer=1)[:-1] + record(1), 2, id="a record cut short"),
    pytest.param(number(-1) + record(0)[1:], 1, id="a record of negative length"),
    pytest.param(b"\xff" * 10 + record(0), 1, id="an endless number"),
    pytest.param(record(1), 1, id="offsets that do not begin at 0"),
    pytest.param(record(0) + record(0), 2, id="an offset twice"),
    pytest.param(record(0) + record(2), 2, id="an offset left out"),
    pytest.param(
        number(9) + b"\0\0\0" + number(100) + b"12345", 1, id="a key longer than its record"
    ),
    pytest.param(record(0, headers=number(2) + b"\0\0"), 1, id="fewer headers than said"),
    pytest.param(record(0, headers=number(2**31 - 1)), 1, id="headers without end"),
    pytest.param(record(0, headers=number(-1)), 1, id="a negative number of headers"),
    pytest.param(record(0, headers=number(1) + number(-1) + b"\0"), 1, id="a header without name"),
]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(("records", "count"), LIES)
def test_a_batch_whose_inside_lies_is_refused(records: bytes, count: int, codec: str) -> None:
    assert inside(records, count, codec=codec) is INVALID


HONEST = [
    pytest.param(batch(b"x", codec=0)[61:], 1, id="one record"),
    pytest.param(b"".join(map(record, range(9000))), 9000, id="many"),
    pytest.param(record(0, key=None, value=None), 1, id="nulls"),
    pytest.param(record(0, key=b"", value=b""), 1, id="nothing"),
    # Kafka takes every negative length for null (DefaultRecord.readFrom).
    pytest.param(number(6) + b"\0\0\0" + number(-2) + number(-1) + b"\0", 1, id="a null of -2"),
    pytest.param(number(6) + b"\0\0\0\1" + number(-3) + b"\0", 1, id="a null of -3"),
    pytest.param(record(0, headers=number(1) + b"\0" + number(-2)), 1, id="a header's null of -2"),
    pytest.param(record(0, key=b"k" * 70, value=b"v" * 20_000), 1, id="long fields"),
    pytest.param(
        record(0, headers=number(2) + field(b"a" * 80) + field(b"b" * 90) + field(b"") + b"\1"),
        1,
        id="headers",
    ),
    pytest.param(record(0, headers=number(70) + b"\0\0" * 70), 1, id="many headers"),
]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(("records", "count"), HONEST)
def test_an_honest_batch_is_taken(records: bytes, count: int, codec: str) -> None:
    assert inside(records, count, codec=codec) is ErrorCode.none


@pytest.mark.parametrize("codec", CODECS)
def test_what_a_client_builds_is_taken(codec: str) -> None:
    values = [b"v" * size for size in range(300)]
    assert verdict(batch(*values, codec=CODECS[codec])) is ErrorCode.none


@pytest.mark.parametrize("codec", COMPRESSED)
@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(lambda good: b"no such thing at all", id="something else"),
        pytest.param(lambda good: b"", id="nothing"),
        pytest.param(lambda good: good[:-1], id="cut short"),
        pytest.param(lambda good: good + b"more", id="bytes after it"),
    ],
)
def test_what_cannot_be_unpacked_is_refused(codec: str, packed: Callable[[bytes], bytes]) -> None:
    good = PACK[codec](record(0))
    assert verdict(wrapped(packed(good), 1, CODECS[codec])) is INVALID


@pytest.mark.parametrize("codec", COMPRESSED)
def test_what_unpacks_to_too_much_is_refused(codec: str) -> None:
    around = len(record(0, value=b"\0" * (LIMIT - 100))) - (LIMIT - 100)
    for size, says in ((LIMIT - around, ErrorCode.none), (LIMIT - around + 1, TOO_LARGE)):
        assert inside(record(0, value=b"\0" * size), 1, codec=codec) is says


def test_a_compacted_topic_takes_no_record_without_a_key() -> None:
    records = record(0) + record(1, key=None)
    assert inside(records, 2) is ErrorCode.none
    assert inside(records, 2, keyed=True) is INVALID
    assert inside(record(0, key=b"") + record(1), 2, keyed=True) is ErrorCode.none


@given(codec=st.sampled_from(list(CODECS)), data=st.data())
def test_whatever_the_bytes_are_the_answer_is_an_error_of_kafka(
    codec: str, data: st.DataObject
) -> None:
    packed = bytearray(PACK[codec](record(0) + record(1, value=b"abc" * 40)))
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    made = wrapped(bytes(packed), 2, CODECS[codec])
    assert verdict(made) in {ErrorCode.none, INVALID, TOO_LARGE}


async def test_a_bomb_takes_no_more_memory_than_is_allowed(broker: Broker) -> None:
    bomb = wrapped(PACK["zstd"](b"\0" * 2**28), 1, CODECS["zstd"])
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        refused = await raw.produce("t", bomb)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (refused.error_code, refused.error_message) == (
        TOO_LARGE,
        "the records unpack to more than 16777216 bytes",
    )
    assert grown < 32 * 2**10  # kB


async def test_a_refused_batch_changes_nothing_for_those_around_it(broker: Broker) -> None:
    lie, packed_lie = wrapped(record(0), 99_999), wrapped(PACK["gzip"](record(0)), 99_999, 1)
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        assert (await raw.produce("t", batch(b"1", producer=(5, 0, 0)))).base_offset == 0
        refused = await raw.produce("t", packed_lie)
        assert (refused.error_code, refused.base_offset) == (INVALID, -1)
        assert (await raw.produce("t", lie)).error_code is INVALID
        assert (await raw.produce("t", batch(b"2", producer=(5, 0, 1)))).base_offset == 1
        stored = (await raw.fetch("t", 0)).records
    assert struct.unpack_from(">q", stored, len(batch(b"1")))[0] == 1


async def test_a_topic_that_is_compacted_wants_keys(broker: Broker) -> None:
    async with await Raw.to(broker) as raw:
        await raw.create("t", cleanup_policy="compact")
        refused = await raw.produce("t", batch(b"x"))
        assert refused.error_code is INVALID
        assert "without a key" in refused.error_message
        keyed = wrapped(record(0), 1)
        assert (await raw.produce("t", keyed)).error_code is ErrorCode.none


async def test_a_partition_whose_offsets_are_used_up_says_so(broker: Broker) -> None:
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        engine = broker._engine
        assert engine is not None
        partition = engine.topics.partition("t", 0)
        assert partition is not None
        engine._writer._ends[partition.number] = LAST - 2
        assert (await raw.produce("t", batch(b"x"))).base_offset == LAST - 2
        refused = await raw.produce("t", batch(b"x", b"y"))
        assert refused.error_code is ErrorCode.policy_violation
        assert "used up" in refused.error_message
        assert (await raw.produce("t", batch(b"x"))).base_offset == LAST - 1
        assert (await raw.produce("t", batch(b"x"))).error_code is ErrorCode.policy_violation
