"""Idempotent producers, transactions and groups that commit, all at once, through every crash."""

import asyncio
import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from kio.schema.errors import ErrorCode

from bus.broker.keys import ApiKey
from bus.settings import Address
from ops.torture.broker.account import (
    Committed,
    Committing,
    Created,
    Deleted,
    Deleting,
    Ended,
    Ending,
    Event,
    Sent,
    Stored,
)
from ops.torture.broker.client import Client, Lost, batch, creation, produce

TOPIC = "t"
PARTITIONS = 3
_CODECS = (0, 0, 1, 4)
_ADD_PARTITIONS, _ADD_OFFSETS, _END, _COMMIT_OFFSETS = 24, 25, 26, 28
_FILLING = 300_000  # bytes
_WINDOW = 5  # batches of one producer and partition under way: what Kafka remembers
_STALLED = 60.0  # seconds
_PAUSE = 0.005  # seconds before what was refused is tried again


class Refused(Exception):
    """An answer that says no, for good."""


_PASSING = {
    ErrorCode.kafka_storage_error,
    ErrorCode.coordinator_not_available,
    ErrorCode.coordinator_load_in_progress,
    ErrorCode.concurrent_transactions,
    ErrorCode.not_coordinator,
    ErrorCode.unknown_server_error,
}
"""Errors after which a client tries again."""

_OUT_OF_ORDER = ErrorCode.out_of_order_sequence_number


@dataclass(slots=True)
class Load:
    """Clients at work until they are told to stop.

    Args:
        where: the broker's address now.
        note: called with each thing that is asked and each that is acknowledged.
        seed: settles what is written.
        writers, transactors, committers, builders: how many of each.
        pause: seconds between one thing and the next of each client.
    """

    where: Callable[[], Address]
    note: Callable[[Event], None]
    seed: int
    writers: int = 2
    transactors: int = 2
    committers: int = 1
    builders: int = 1
    pause: float = 0.0
    large: int = 0
    name: str = ""
    stopping: bool = False
    done: Counter[str] = field(default_factory=Counter)
    _progress: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Work until told to stop, and settle what is under way.

        Raises:
            Refused: an answer says no where nothing is wrong.
        """
        async with asyncio.TaskGroup() as group:
            for number in range(self.writers):
                group.create_task(_Writer(self, f"w{self.name}{number}").run())
            for number in range(self.transactors):
                group.create_task(_Transactor(self, f"x{self.name}{number}").run())
            for number in range(self.committers):
                group.create_task(_Committer(self, f"g{self.name}{number}").run())
            for number in range(self.builders):
                group.create_task(_Builder(self, f"d{self.name}{number}").run())

    def stop(self) -> None:
        """Begin nothing new."""
        self.stopping = True

    async def reached(self, what: str, count: int) -> None:
        """Wait until so many "batches", "positions" or "transactions" were acknowledged,
        or so many things were "refused" with an error after which one tries again.

        Raises:
            TimeoutError: none was for a minute.
        """
        while self.done[what] < count:
            self._progress.clear()
            async with asyncio.timeout(_STALLED):
                await self._progress.wait()

    async def took(self, what: str) -> None:
        """Count what was acknowledged, and let others go on."""
        self.done[what] += 1
        self._progress.set()
        await asyncio.sleep(self.pause)


@asynccontextmanager
async def at_work(load: Load) -> AsyncIterator[Load]:
    """Run a load for the time of a block; what is under way at its end is settled.

    Raises:
        ExceptionGroup: a client was refused what it should not have been.
    """
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run())
        yield load
        load.stop()


class _Worker(ABC):
    """One client, which connects again whenever it must."""

    def __init__(self, load: Load, name: str) -> None:
        self.load, self.name = load, name
        self.choose = random.Random(f"{load.seed} {name}")
        self.client: Client | None = None
        self.count = 0

    async def run(self) -> None:
        try:
            while not self.load.stopping or self.unsettled():
                try:
                    if self.client is None:
                        self.client = await Client.to(self.load.where)
                        await self.connected()
                    await self.step()
                except Lost:
                    self.drop()
        finally:
            self.drop()

    def drop(self) -> None:
        if self.client is not None:
            self.client.close()
            self.client = None

    def unsettled(self) -> bool:
        return False

    async def connected(self) -> None:  # noqa: B027  # most have nothing to do then
        """Do what has to be done first on a new connection."""

    @abstractmethod
    async def step(self) -> None:
        """Do the next piece of work."""

    async def ask(self, key: int, version: int, /, **fields: Any) -> Any:
        assert self.client is not None
        return await self.client.ask(key, version, **fields)

    async def producer_id(self, transaction: str | None) -> tuple[int, int]:
        while True:
            answer = await self.ask(
                ApiKey.INIT_PRODUCER_ID,
                4,
                transactional_id=transaction,
                transaction_timeout=60_000,
                producer_id=-1,
                producer_epoch=-1,
            )
            if not await self.passing(answer.error_code, "INIT_PRODUCER_ID"):
                return answer.producer_id, answer.producer_epoch

    async def passing(self, error: ErrorCode, what: str) -> bool:
        """Wait a moment and return true if it has to be tried again.

        Raises:
            Refused: it need not be.
        """
        if error is ErrorCode.none:
            return False
        if error not in _PASSING:
            raise Refused(f"{self.name}: {what}: {error.name}")
        await self.load.took("refused")
        await asyncio.sleep(_PAUSE)
        return True

    def value(self, transaction: str = "") -> bytes:
        self.count += 1
        text = f"{transaction or self.name}/{self.count}/"
        return text.encode() + b"." * self.choose.randrange(self.load.large + 1)


@dataclass(slots=True)
class _Batch:
    partition: int
    values: list[bytes]
    data: bytes


class _Writer(_Worker):
    """An idempotent producer with several batches under way, sent again until acknowledged."""

    def __init__(self, load: Load, name: str) -> None:
        super().__init__(load, name)
        self._producer: tuple[int, int] | None = None
        self._next: Counter[int] = Counter()
        self._under_way: list[_Batch] = []

    def unsettled(self) -> bool:
        return bool(self._under_way)

    async def connected(self) -> None:
        if self._producer is None:
            self._producer = await self.producer_id(None)

    async def step(self) -> None:
        if not self._under_way:
            partition = self.choose.randrange(PARTITIONS)
            self._under_way = [
                self._made(partition) for _ in range(self.choose.randint(1, _WINDOW))
            ]
        assert self.client is not None
        for one in self._under_way:
            self.client.send(ApiKey.PRODUCE, 9, **produce(TOPIC, {one.partition: one.data}))
        left: list[_Batch] = []
        for position, one in enumerate(self._under_way):
            try:
                answer = await self.client.answer(ApiKey.PRODUCE, 9)
            except Lost:
                self._under_way = left + self._under_way[position:]
                raise
            part = answer.responses[0].partition_responses[0]
            if part.error_code is ErrorCode.none:
                for number, value in enumerate(one.values):
                    self.load.note(Stored(one.partition, value, part.base_offset + number))
                await self.load.took("batches")
            elif part.error_code in _PASSING or (left and part.error_code is _OUT_OF_ORDER):
                left.append(one)
            else:
                raise Refused(f"{self.name}: PRODUCE: {part.error_code.name}")
        self._under_way = left
        if left:
            await self.load.took("refused")
            await asyncio.sleep(_PAUSE)

    def _made(self, partition: int) -> _Batch:
        assert self._producer is not None
        values = [self.value() for _ in range(self.choose.randint(1, 3))]
        for value in values:
            self.load.note(Sent(partition, value))
        first = self._next[partition]
        self._next[partition] += len(values)
        codec = self.choose.choice(_CODECS)
        return _Batch(
            partition, values, batch(*values, producer=(*self._producer, first), codec=codec)
        )


def _position(offset: int) -> dict[str, Any]:
    return {
        "partition_index": 0,
        "committed_offset": offset,
        "committed_leader_epoch": -1,
        "committed_metadata": "",
    }


class _Committer(_Worker):
    """A group that commits positions, each after the one before was acknowledged."""

    async def step(self) -> None:
        self.count += 1
        self.load.note(Committing(self.name, self.count))
        part = _position(self.count)
        answer = await self.ask(
            ApiKey.OFFSET_COMMIT,
            7,
            group_id=self.name,
            generation_id_or_member_epoch=-1,
            member_id="",
            group_instance_id=None,
            topics=[{"name": TOPIC, "partitions": [part]}],
        )
        error = answer.topics[0].partitions[0].error_code
        if not await self.passing(error, "OFFSET_COMMIT"):
            self.load.note(Committed(self.name, self.count))
            await self.load.took("positions")


class _Builder(_Worker):
    """Makes a topic, fills it and deletes it, so that there is always space to give back."""

    async def step(self) -> None:
        self.count += 1
        topic = f"{self.name}.{self.count}"
        await self._until_done(topic, ApiKey.CREATE_TOPICS, 5, **creation(topic, 1))
        self.load.note(Created(topic))
        for _ in range(self.choose.randint(0, 3)):
            data = batch(self.choose.randbytes(_FILLING))
            await self.ask(ApiKey.PRODUCE, 9, **produce(topic, {0: data}))
        self.load.note(Deleting(topic))
        fields = {"topic_names": [topic], "timeout": 1000}
        await self._until_done(topic, ApiKey.DELETE_TOPICS, 3, **fields)
        self.load.note(Deleted(topic))
        await self.load.took("topics")

    async def _until_done(self, topic: str, key: ApiKey, version: int, **fields: Any) -> None:
        while True:
            answer = await self.ask(key, version, **fields)
            (told,) = getattr(answer, "topics", None) or answer.responses
            if not await self.passing(told.error_code, f"{key.name} {topic}"):
                return


class _Transactor(_Worker):
    """A transactional producer: records in several partitions and a group's position, or none."""

    def __init__(self, load: Load, name: str) -> None:
        super().__init__(load, name)
        self._id, self._epoch = -1, -1
        self._next: Counter[int] = Counter()
        self._number = 0

    async def connected(self) -> None:
        # Whatever was under way is thereby aborted, or its end is carried out.
        self._id, self._epoch = await self.producer_id(self.name)
        self._next.clear()

    async def step(self) -> None:
        self._number += 1
        transaction = f"{self.name}:{self._number}"
        partitions = self.choose.sample(range(PARTITIONS), self.choose.randint(1, PARTITIONS))
        await self._add(partitions)
        for partition in partitions:
            for _ in range(self.choose.randint(1, 2)):
                await self._write(transaction, partition)
        position = self._number if self.choose.random() < 0.5 else -1
        if position >= 0:
            await self._commit_position(position)
        await self._end(transaction, position)

    async def _own(self, key: int, version: int, **fields: Any) -> Any:
        mine = {
            "transactional_id": self.name,
            "producer_id": self._id,
            "producer_epoch": self._epoch,
        }
        return await self.ask(key, version, **mine, **fields)

    async def _add(self, partitions: list[int]) -> None:
        while True:
            answer = await self._own(
                _ADD_PARTITIONS,
                3,
                v3_and_below_transactional_id=self.name,
                v3_and_below_producer_id=self._id,
                v3_and_below_producer_epoch=self._epoch,
                v3_and_below_topics=[{"name": TOPIC, "partitions": partitions}],
            )
            (topic,) = answer.results_by_topic_v3_and_below
            errors = [one.partition_error_code for one in topic.results_by_partition]
            worst = next((one for one in errors if one is not ErrorCode.none), ErrorCode.none)
            if not await self.passing(worst, "ADD_PARTITIONS_TO_TXN"):
                return

    async def _write(self, transaction: str, partition: int) -> None:
        value = self.value(transaction)
        self.load.note(Sent(partition, value, transaction))
        data = batch(
            value, producer=(self._id, self._epoch, self._next[partition]), transactional=True
        )
        while True:
            answer = await self.ask(
                ApiKey.PRODUCE, 9, **produce(TOPIC, {partition: data}, transaction=self.name)
            )
            part = answer.responses[0].partition_responses[0]
            if not await self.passing(part.error_code, "PRODUCE"):
                break
        self._next[partition] += 1
        self.load.note(Stored(partition, value, part.base_offset))

    async def _commit_position(self, position: int) -> None:
        while True:
            answer = await self._own(_ADD_OFFSETS, 3, group_id=self.name)
            if not await self.passing(answer.error_code, "ADD_OFFSETS_TO_TXN"):
                break
        part = _position(position)
        while True:
            answer = await self._own(
                _COMMIT_OFFSETS,
                3,
                group_id=self.name,
                generation_id=-1,
                member_id="",
                group_instance_id=None,
                topics=[{"name": TOPIC, "partitions": [part]}],
            )
            error = answer.topics[0].partitions[0].error_code
            if not await self.passing(error, "TXN_OFFSET_COMMIT"):
                return

    async def _end(self, transaction: str, position: int) -> None:
        commit = self.choose.random() < 0.8
        group = self.name if position >= 0 else ""
        self.load.note(Ending(transaction, commit, group, position))
        while True:
            answer = await self._own(_END, 3, committed=commit)
            if not await self.passing(answer.error_code, "END_TXN"):
                break
        self.load.note(Ended(transaction))
        await self.load.took("transactions")
