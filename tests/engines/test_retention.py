"""Retention and compaction: what is deleted, what stays, and at which offsets.

Apache Kafka deletes and compacts whole segments, never the one that is written. It begins a new
one by the times of the records, which the tests choose, so that nothing waits for the clock.
"""

import asyncio
import time
from collections.abc import Mapping

import pytest
from kio.schema.errors import ErrorCode

from tests.broker.raw import CODECS, DEADLINE, Raw, batch
from tests.engines.log import Logged, packed, stored, unpacked

HOUR = 3_600_000  # milliseconds
LONG_AGO = 1_700_000_000_000  # milliseconds since 1970: longer ago than a segment lasts
FOREVER = str(100 * 365 * 24 * HOUR)
COMPACTED = {
    "cleanup_policy": "compact",
    "min_cleanable_dirty_ratio": "0",
    "segment_ms": str(HOUR),
}


def hours_ago(count: int) -> int:
    """Return a time in milliseconds since 1970."""
    return round(time.time() * 1000) - count * HOUR


async def begins(raw: Raw, topic: str, offset: int, *, end: int) -> None:
    """Return once a log that ends there begins at an offset."""
    async with asyncio.timeout(DEADLINE):
        # Nothing comes after the end: each look waits a moment for it, and says the beginning.
        while (await raw.fetch(topic, end, max_wait=50)).log_start_offset != offset:
            continue


async def holds(raw: Raw, topic: str, *records: Logged) -> None:
    """Return once a log holds exactly these records."""
    end = records[-1].offset + 1
    async with asyncio.timeout(DEADLINE):
        while await stored(raw, topic) != list(records):
            await raw.fetch(topic, end, max_wait=50)  # nothing comes: a pause, and no more


async def write(raw: Raw, topic: str, *records: Logged, codec: int = 0) -> list[Logged]:
    """Write a batch, and return its records as they are in the log."""
    answer = await raw.produce(topic, packed(*records, codec=codec))
    assert answer.error_code is ErrorCode.none
    return [one._replace(offset=answer.base_offset + n) for n, one in enumerate(records)]


def of(key: bytes, value: bytes | None, ago: int = 10) -> Logged:
    """Return a record that so many hours ago was true."""
    return Logged(key, value, (("header", b"kept"),), hours_ago(ago))


@pytest.mark.parametrize("policy", ["delete", "compact,delete"])
async def test_by_time(raw: Raw, topic: str, policy: str) -> None:
    """Records older than retention.ms are deleted: the log begins with those that are left."""
    await raw.made(topic, cleanup_policy=policy, retention_ms=str(HOUR))
    for _ in range(2):
        await write(raw, topic, Logged(b"old", b"old", timestamp=LONG_AGO))
    kept = await write(raw, topic, of(b"new", b"new", ago=0))
    await begins(raw, topic, 2, end=3)
    assert (await raw.fetch(topic, 1)).error_code is ErrorCode.offset_out_of_range
    assert await stored(raw, topic, start=2) == kept


async def test_nothing_left(raw: Raw, topic: str) -> None:
    """Where all records are too old, all are deleted, and the offsets go on."""
    await raw.made(topic, retention_ms=str(HOUR))
    await raw.produce(topic, batch(b"a", b"b", times=(LONG_AGO, LONG_AGO)))
    await begins(raw, topic, 2, end=2)
    assert await stored(raw, topic, start=2) == []
    assert (await raw.produce(topic, batch(b"c"))).base_offset == 2


async def test_the_newest_record_of_a_batch(raw: Raw, topic: str) -> None:
    """A batch lives as long as its newest record."""
    await raw.made(topic, retention_ms=str(HOUR))
    await write(raw, topic, Logged(b"a", b"old", timestamp=LONG_AGO))
    kept = await write(
        raw, topic, Logged(b"a", b"old", timestamp=LONG_AGO), of(b"b", b"new", ago=0)
    )
    await begins(raw, topic, 1, end=3)
    assert await stored(raw, topic, start=1) == kept


async def test_by_size(raw: Raw, topic: str) -> None:
    """The oldest batches are deleted while at least retention.bytes are left."""
    await raw.made(topic, retention_bytes="1000000", segment_bytes=str(2**20))
    for _ in range(6):
        await raw.produce(topic, batch(b"x" * 600_000, times=(hours_ago(0),)))
    await begins(raw, topic, 4, end=6)
    assert [one.offset for one in await stored(raw, topic, start=4)] == [4, 5]


@pytest.mark.parametrize(
    "configs",
    [
        pytest.param({"retention_ms": "-1"}, id="without a limit"),
        pytest.param({"cleanup_policy": "compact"}, id="compacted, not deleted"),
        pytest.param({"message_timestamp_type": "LogAppendTime"}, id="appended just now"),
    ],
)
async def test_what_stays(raw: Raw, topic: str, configs: Mapping[str, str]) -> None:
    """Old records stay without a limit, in topics that are only compacted, and by append time."""
    other = f"{topic}.deleted"
    await raw.made(topic, 1, **{"retention_ms": str(HOUR), **configs})
    await raw.made(other, retention_ms=str(HOUR))
    for name in (topic, other):
        await write(raw, name, Logged(b"a", b"old", timestamp=LONG_AGO))
    await begins(raw, other, 1, end=1)
    assert [one.value for one in await stored(raw, topic)] == [b"old"]


@pytest.mark.parametrize("codec", list(CODECS))
async def test_compaction(raw: Raw, topic: str, codec: str) -> None:
    """The last record of each key stays as it was, at its offset; earlier ones are deleted."""
    await raw.made(topic, 1, **COMPACTED)
    number = CODECS[codec]
    b = (await write(raw, topic, of(b"a", b"1"), of(b"b", b"1"), of(b"c", b"1"), codec=number))[1]
    (a,) = await write(raw, topic, of(b"a", b"2"), codec=number)
    (c,) = await write(raw, topic, of(b"c", b"2"), codec=number)
    (newest,) = await write(raw, topic, of(b"a", b"3", ago=0), codec=number)
    await holds(raw, topic, b, a, c, newest)


async def test_reading_where_records_are_gone(raw: Raw, topic: str) -> None:
    """Reading from an offset that was compacted away goes on with what follows."""
    await raw.made(topic, 1, **COMPACTED)
    for _ in range(4):
        await write(raw, topic, of(b"a", b"value"))
    (last,) = await write(raw, topic, of(b"a", b"value"))
    (newest,) = await write(raw, topic, of(b"b", b"value", ago=0))
    await holds(raw, topic, last, newest)
    for offset in range(5):
        answer = await raw.fetch(topic, offset)
        assert (answer.error_code, answer.high_watermark) == (ErrorCode.none, 6)
        assert unpacked(answer.records)[0] == last


async def test_tombstones(raw: Raw, topic: str) -> None:
    """A null value deletes what its key had; it stays itself for delete.retention.ms."""
    await raw.made(topic, 1, **COMPACTED, delete_retention_ms=FOREVER)
    await write(raw, topic, of(b"a", b"1"))
    (gone,) = await write(raw, topic, of(b"a", None))
    (newest,) = await write(raw, topic, of(b"b", b"1", ago=0))
    await holds(raw, topic, gone, newest)


async def test_old_tombstones(raw: Raw, topic: str) -> None:
    """A null value older than delete.retention.ms is deleted in turn."""
    await raw.made(topic, 1, **COMPACTED, delete_retention_ms="0")
    await write(raw, topic, of(b"a", b"1", ago=10_000))
    await write(raw, topic, of(b"a", None, ago=10_000))
    keys = {b"a"}
    async with asyncio.timeout(DEADLINE):
        # Something has to come in for a log to be compacted again, each time in a new segment.
        for ago in range(9_000, 0, -2):
            (newest,) = await write(raw, topic, of(b"b", b"1", ago=ago))
            await raw.fetch(topic, newest.offset + 1, max_wait=50)  # a pause, and no more
            keys = {one.key or b"" for one in await stored(raw, topic)}
            if b"a" not in keys:
                break
    assert keys == {b"b"}


@pytest.mark.parametrize(
    "configs",
    [
        pytest.param({"cleanup_policy": "delete"}, id="not to be compacted"),
        pytest.param({"min_compaction_lag_ms": FOREVER}, id="younger than min.compaction.lag.ms"),
    ],
)
async def test_what_is_not_compacted(raw: Raw, topic: str, configs: Mapping[str, str]) -> None:
    """Topics that are not to be compacted, or not yet, keep all records."""
    other = f"{topic}.compacted"
    await raw.made(topic, 1, **{**COMPACTED, **configs})
    await raw.made(other, 1, **COMPACTED)
    for name in (topic, other):
        await write(raw, name, of(b"a", b"1"))
        (last,) = await write(raw, name, of(b"a", b"2"))
        (newest,) = await write(raw, name, of(b"b", b"1", ago=0))
        if name == other:
            await holds(raw, other, last, newest)
    assert [one.offset for one in await stored(raw, topic)] == [0, 1, 2]
