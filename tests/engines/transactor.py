"""A transactional producer that sends exactly what it is told, on a connection of its own."""

import struct
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import IntEnum
from typing import Any, NamedTuple, Self

from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from bus.settings import Address
from tests.broker.raw import Raw, batch, fetch_fields, produce_fields
from tests.engines.log import ATTRIBUTES_AT, edited, unpacked
from tests.waiting import until

NONE = ErrorCode.none

COMMITTED, UNCOMMITTED = 1, 0
"""Isolation levels of those who read."""

_PASSING = {
    ErrorCode.coordinator_load_in_progress,
    ErrorCode.coordinator_not_available,
    ErrorCode.not_coordinator,
    ErrorCode.concurrent_transactions,
}
_TRANSACTIONAL, _CONTROL = 0x10, 0x20  # attributes of a batch
_SIZED = 12  # bytes of a batch that its length does not count
_FRONT = struct.Struct(">qiibIhiqqq")  # from the base offset to the producer's id


class Txn(IntEnum):
    """The APIs of transactions."""

    ADD_PARTITIONS = 24
    ADD_OFFSETS = 25
    END = 26
    COMMIT_OFFSETS = 28
    DESCRIBE_PRODUCERS = 61
    DESCRIBE = 65
    LIST = 66


def transactional(*values: bytes, producer: tuple[int, int, int]) -> bytes:
    """Return a batch that belongs to a transaction."""
    return edited(
        batch(*values, producer=producer), ATTRIBUTES_AT, _TRANSACTIONAL.to_bytes(2, "big")
    )


class Transactor:
    """A producer with a transactional id.

    Attributes:
        name: its transactional id.
        id, epoch: what the coordinator gave it.
    """

    def __init__(self, raw: Raw, name: str) -> None:
        self.raw, self.name = raw, name
        self.id, self.epoch = -1, -1
        self._sequences: Counter[tuple[str, int]] = Counter()

    @classmethod
    @asynccontextmanager
    async def at(cls, address: Address, name: str | None = None) -> AsyncIterator[Self]:
        """Connect, with this transactional id or a new one."""
        async with await Raw.to(address) as raw:
            made = cls(raw, name or f"engines.{uuid.uuid4().hex}")
            await until(made._coordinated)
            yield made

    async def _coordinated(self) -> bool:
        """A fresh Kafka makes what the coordinator needs when somebody looks for it."""
        found = await self.raw.ask(
            ApiKey.FIND_COORDINATOR, 4, key_type=1, coordinator_keys=(self.name,)
        )
        return found.coordinators[0].error_code not in _PASSING

    async def ask(self, key: int, version: int, /, **fields: Any) -> Any:
        """Send a request of this producer and return the answer."""
        return await self.raw.ask(
            key,
            version,
            **{
                "transactional_id": self.name,
                "producer_id": self.id,
                "producer_epoch": self.epoch,
                **fields,
            },
        )

    async def ask_to_begin(self, timeout: int = 60_000, **fields: Any) -> Any:
        """Ask for an id and epoch, until the coordinator has time; return the answer."""
        answer: Any = None

        async def settled() -> bool:
            nonlocal answer
            answer = await self.ask(
                ApiKey.INIT_PRODUCER_ID,
                4,
                **{
                    "transaction_timeout": timeout,
                    "producer_id": -1,
                    "producer_epoch": -1,
                    **fields,
                },
            )
            return answer.error_code not in _PASSING

        await until(settled)
        return answer

    async def begin(self, timeout: int = 60_000) -> Self:
        """Take an id and epoch: from now on nobody else may write with this transactional id."""
        answer = await self.ask_to_begin(timeout)
        assert answer.error_code is NONE, answer
        self.id, self.epoch = answer.producer_id, answer.producer_epoch
        return self

    async def add(self, topic: str, *partitions: int) -> ErrorCode:
        """Say that partitions will be written in the transaction; return what it is told."""
        told: list[ErrorCode] = []

        async def settled() -> bool:
            answer = await self.ask(
                Txn.ADD_PARTITIONS,
                3,
                v3_and_below_transactional_id=self.name,
                v3_and_below_producer_id=self.id,
                v3_and_below_producer_epoch=self.epoch,
                v3_and_below_topics=[{"name": topic, "partitions": partitions or (0,)}],
            )
            (found,) = answer.results_by_topic_v3_and_below
            told[:] = {one.partition_error_code for one in found.results_by_partition}
            return not set(told) & _PASSING

        await until(settled)
        (error,) = told
        return error

    async def write(self, topic: str, *values: bytes, partition: int = 0) -> Any:
        """Write records of the transaction; return what it is told."""
        first = self._sequences[topic, partition]
        records = transactional(*values, producer=(self.id, self.epoch, first))
        fields = produce_fields(topic, records, partition) | {"transactional_id": self.name}
        answer = await self.ask(ApiKey.PRODUCE, 9, **fields)
        told = answer.responses[0].partition_responses[0]
        if told.error_code is NONE:
            self._sequences[topic, partition] += len(values)
        return told

    async def send(self, topic: str, *values: bytes, partition: int = 0) -> int:
        """Add the partition and write records to it; return the first one's offset."""
        assert await self.add(topic, partition) is NONE
        told = await self.write(topic, *values, partition=partition)
        assert told.error_code is NONE, told
        return int(told.base_offset)

    async def end(self, *, commit: bool) -> ErrorCode:
        """Commit or abort; return what it is told."""
        told: list[ErrorCode] = []

        async def settled() -> bool:
            told[:] = [(await self.ask(Txn.END, 3, committed=commit)).error_code]
            return told[0] not in _PASSING

        await until(settled)
        return told[0]

    async def add_offsets(self, group: str) -> ErrorCode:
        """Say that a group's positions will be part of the transaction; return what it is told."""
        return ErrorCode((await self.ask(Txn.ADD_OFFSETS, 3, group_id=group)).error_code)

    async def commit_offset(self, group: str, topic: str, offset: int, **member: Any) -> ErrorCode:
        """Commit a group's position as a part of the transaction; return what it is told."""
        part = {"partition_index": 0, "committed_offset": offset, "committed_leader_epoch": -1}
        answer = await self.ask(
            Txn.COMMIT_OFFSETS,
            3,
            **{
                "group_id": group,
                "generation_id": -1,
                "member_id": "",
                "group_instance_id": None,
                "topics": [{"name": topic, "partitions": [part | {"committed_metadata": ""}]}],
                **member,
            },
        )
        return ErrorCode(answer.topics[0].partitions[0].error_code)


class Batch(NamedTuple):
    """A batch as it lies in the log."""

    attributes: int
    producer: int
    first: int
    last: int
    records: bytes


def batches(records: bytes | None) -> list[Batch]:
    """Return the batches in what a fetch answers."""
    found, left = [], records or b""
    while left:
        size = _SIZED + int.from_bytes(left[8:_SIZED], "big")
        base, _, _, _, _, attributes, delta, _, _, producer = _FRONT.unpack_from(left)
        found.append(Batch(attributes, producer, base, base + delta, left[:size]))
        left = left[size:]
    return found


async def read(
    raw: Raw, topic: str, isolation: int, *, partition: int = 0, start: int = 0
) -> list[bytes]:
    """Return the values that one who reads at this level sees, as clients do."""
    found: list[Batch] = []
    aborted: set[tuple[int, int]] = set()
    offset = start
    while True:
        fields = fetch_fields(topic, offset, partition=partition) | {"isolation_level": isolation}
        answer = (await raw.ask(ApiKey.FETCH, 11, **fields)).responses[0].partitions[0]
        assert answer.error_code is NONE
        more = batches(answer.records)
        if not more:
            return _seen(found, sorted(aborted))
        found += more
        aborted |= {
            (one.first_offset, one.producer_id) for one in answer.aborted_transactions or ()
        }
        offset = more[-1].last + 1


def _seen(found: list[Batch], aborted: list[tuple[int, int]]) -> list[bytes]:
    """Return the values that belong to no aborted transaction."""
    values: list[bytes] = []
    hidden: set[int] = set()
    for one in found:
        while aborted and aborted[0][0] <= one.first:
            hidden.add(aborted.pop(0)[1])
        if one.attributes & _CONTROL:
            hidden.discard(one.producer)
        elif not (one.attributes & _TRANSACTIONAL and one.producer in hidden):
            values += [record.value or b"" for record in unpacked(one.records)]
    return values


async def stable(raw: Raw, topic: str, partition: int = 0) -> tuple[int, int]:
    """Return the last stable offset and the end of a partition."""

    async def latest(isolation: int) -> int:
        asked = [{"partition_index": partition, "current_leader_epoch": -1, "timestamp": -1}]
        answer = await raw.ask(
            ApiKey.LIST_OFFSETS,
            7,
            replica_id=-1,
            isolation_level=isolation,
            topics=[{"name": topic, "partitions": asked}],
        )
        return int(answer.topics[0].partitions[0].offset)

    return await latest(COMMITTED), await latest(UNCOMMITTED)


async def settled(raw: Raw, topic: str, partition: int = 0) -> None:
    """Return once no transaction is open in a partition: its end is told a little later."""

    async def closed() -> bool:
        last_stable, end = await stable(raw, topic, partition)
        return last_stable == end

    await until(closed)
