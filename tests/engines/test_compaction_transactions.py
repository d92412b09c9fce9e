"""Compaction beside transactions: what was written in vain goes, what is open is left alone."""

from collections.abc import AsyncIterator

import pytest
from kio.schema.errors import ErrorCode

from bus.settings import Address
from tests.broker.raw import Raw, produce_fields
from tests.engines.log import Logged, edited, packed
from tests.engines.test_retention import COMPACTED, LONG_AGO, hours_ago
from tests.engines.transactor import Transactor, read, settled
from tests.waiting import until

UNCOMMITTED = 0
EACH_ITS_OWN = COMPACTED | {"segment_ms": "1"}
"""A segment for each batch, as their times are."""


@pytest.fixture
async def producer(address: Address) -> AsyncIterator[Transactor]:
    """A producer that may begin transactions."""
    async with Transactor.at(address) as made:
        yield await made.begin()


class Log:
    """Writes to a compacted topic, each record at a later time than the one before."""

    def __init__(self, raw: Raw, topic: str) -> None:
        self._raw, self._topic, self._time = raw, topic, LONG_AGO

    def _next(self, key: bytes, value: bytes) -> bytes:
        self._time += 1000
        return packed(Logged(key, value, timestamp=self._time))

    async def write(self, key: bytes, value: bytes) -> None:
        """Write a record by itself."""
        told = await self._raw.produce(self._topic, self._next(key, value))
        assert told.error_code is ErrorCode.none

    async def send(self, producer: Transactor, key: bytes, value: bytes) -> None:
        """Write the first record of a producer's transaction."""
        assert await producer.add(self._topic) is ErrorCode.none
        front = producer.id.to_bytes(8, "big") + producer.epoch.to_bytes(2, "big") + bytes(4)
        records = edited(edited(self._next(key, value), 21, b"\0\x10"), 43, front)
        fields = produce_fields(self._topic, records) | {"transactional_id": producer.name}
        answer = await producer.ask(0, 9, **fields)
        assert answer.responses[0].partition_responses[0].error_code is ErrorCode.none

    async def close(self) -> None:
        """Write what is later than all else, so that nothing else is written to now."""
        records = packed(Logged(b"newest", b"newest", timestamp=hours_ago(0) + 60_000))
        await self._raw.produce(self._topic, records)

    async def holds(self, *values: bytes) -> None:
        """Return once these values are all that is left."""

        async def left() -> bool:
            return await read(self._raw, self._topic, UNCOMMITTED) == list(values)

        await until(left)


async def test_what_was_written_in_vain(raw: Raw, topic: str, producer: Transactor) -> None:
    """Aborted records are deleted, and what they would have replaced stays."""
    await raw.made(topic, 1, **EACH_ITS_OWN)
    log = Log(raw, topic)
    await log.write(b"a", b"committed")
    await log.send(producer, b"a", b"in vain")
    assert await producer.end(commit=False) is ErrorCode.none
    await settled(raw, topic)
    await log.close()
    await log.holds(b"committed", b"newest")


async def test_an_open_transaction(raw: Raw, topic: str, producer: Transactor) -> None:
    """Nothing is compacted from where an open transaction began; once it is ended, all is."""
    other = f"{topic}.other"
    for name in (topic, other):
        await raw.made(name, 1, **EACH_ITS_OWN)
    log, beside = Log(raw, topic), Log(raw, other)
    await log.write(b"a", b"1")
    await log.send(producer, b"a", b"2")
    for value in (b"3", b"4"):
        await log.write(b"a", value)
        await beside.write(b"a", value)
    await log.close()
    await beside.close()
    await beside.holds(b"4", b"newest")
    await log.holds(b"1", b"2", b"3", b"4", b"newest")
    assert await producer.end(commit=True) is ErrorCode.none
    await settled(raw, topic)
    await log.close()
    await log.holds(b"4", b"newest", b"newest")  # the last one is written to now
