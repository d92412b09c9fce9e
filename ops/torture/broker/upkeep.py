"""Delete and compact under load for as long as one likes, and be killed in the middle of it.

Three topics are written to all the time: of one only the last megabytes are kept, of one only the
last seconds, and one is compacted. Little of it is to be kept, so that the broker never has done
with it; the database has to stay small, and what is to be kept has to be there after every kill.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from kio.schema.errors import ErrorCode

from bus.broker.check import check
from bus.broker.keys import ApiKey
from bus.broker.storage.database import NAME, now_ms
from bus.errors import BusError
from ops.torture.broker.account import Entry
from ops.torture.broker.client import Client, Lost, batch, creation, produce
from ops.torture.broker.reading import Unreadable, whole
from ops.torture.broker.victim import Victims

LAST, FRESH, STATES = "last", "fresh", "states"
KEPT_BYTES, KEPT_MS = 4 * 2**20, 5000
TOPICS: Mapping[str, Mapping[str, str]] = {
    LAST: {"retention.bytes": str(KEPT_BYTES), "retention.ms": "-1"},
    FRESH: {"retention.ms": str(KEPT_MS)},
    STATES: {
        "cleanup.policy": "compact",
        "segment.bytes": str(2**20),
        "min.cleanable.dirty.ratio": "0.3",
        "delete.retention.ms": "1000",
    },
}

KEYS = 2000
LARGEST = 64 * 2**20
"""Bytes that the database may have at any time; some 15 MB are kept, and a fifth may be free."""

BETWEEN = 20.0
"""Seconds between two kills, at the most."""

CAUGHT_UP = 60.0
"""Seconds after which nothing is left to delete or compact, once nothing is written any more."""

_EVERY = 0.05  # seconds between two rounds of writing
_BLOCK_BYTES, _STATES_AT_ONCE, _STATE_BYTES = 2**16, 40, 500
_LOOK_EVERY = 0.1  # seconds
_GZIP = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a campaign found.

    Attributes:
        kills: how often the broker was killed.
        written: bytes that were acknowledged.
        largest: bytes that the database had at the most.
        waited: of the acknowledgements, the seconds that one of a hundred took longer than, where
            the broker was not killed meanwhile.
        breaches: promises that were not kept.
    """

    kills: int
    written: int
    largest: int
    waited: float
    breaches: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.written / 1e6:,.0f} MB written, the database had "
            f"{self.largest / 1e6:.0f} MB at the most, acknowledged within "
            f"{self.waited * 1000:.0f} ms (p99), {len(self.breaches)} promises broken"
        )


@dataclass(slots=True)
class _Load:
    """Writes in turn to all topics; after a kill it sends again what was not acknowledged."""

    victim: Victims
    choose: random.Random
    states: dict[bytes, bytes | None] = field(default_factory=dict)
    blocks: int = 0
    written: int = 0
    waits: list[float] = field(default_factory=list)
    calm: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by whoever wants nothing to be written."""

    async def run(self) -> None:
        client = await Client.to(lambda: self.victim.address)
        try:
            while True:
                async with self.calm:
                    client = await self._round(client)
                await asyncio.sleep(_EVERY)
        finally:
            client.close()

    async def _round(self, client: Client) -> Client:
        block = self.blocks.to_bytes(8, "big") + self.choose.randbytes(_BLOCK_BYTES)
        for topic in (LAST, FRESH):
            client = await self._send(client, topic, batch(block, time=now_ms()))
        self.blocks += 1
        changed = {
            b"%d" % self.choose.randrange(KEYS): self._state() for _ in range(_STATES_AT_ONCE)
        }
        client = await self._send(client, STATES, keyed(changed, self.choose.choice((0, _GZIP))))
        self.states |= changed
        return client

    def _state(self) -> bytes | None:
        return None if self.choose.random() < 0.1 else self.choose.randbytes(_STATE_BYTES)

    async def _send(self, client: Client, topic: str, records: bytes) -> Client:
        """Send until it is acknowledged; return the connection that is there then."""
        asked = produce(topic, {0: records})
        while True:
            started = time.monotonic()
            try:
                answer = await client.ask(ApiKey.PRODUCE, 9, **asked)
            except Lost:
                client.close()
                client = await Client.to(lambda: self.victim.address)
                continue
            part = answer.responses[0].partition_responses[0]
            assert part.error_code is ErrorCode.none, part
            self.waits.append(time.monotonic() - started)
            self.written += len(records)
            return client


def keyed(values: Mapping[bytes, bytes | None], codec: int) -> bytes:
    """Return a batch of records with keys, of this moment."""
    made = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 2**24)
    for offset, (key, value) in enumerate(values.items()):
        made.append(offset=offset, timestamp=now_ms(), key=key, value=value, headers=[])
    return bytes(made.build())


async def upkeep(data: Path, seed: int, seconds: float, between: float = BETWEEN) -> Outcome:
    """Have a broker delete and compact for so long, and kill it again and again.

    Args:
        data: an empty folder.
        seed: settles what is written and when it is killed.
        seconds: how long it is written to.
        between: seconds between two kills, at the most.

    Raises:
        RuntimeError: it does not start again.
        TimeoutError: nobody listens for a minute.
        ExceptionGroup: the load was refused for good.
    """
    choose, breaches, sizes, kills = random.Random(seed), list[str](), [0], 0
    async with Victims(data) as victim, asyncio.TaskGroup() as tasks:
        await _prepared(victim)
        load = _Load(victim, random.Random(choose.random()))
        at_work = [tasks.create_task(load.run()), tasks.create_task(_measured(data, sizes))]
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not breaches:
            await asyncio.sleep(min(left, choose.uniform(between / 20, between)))
            await victim.kill()
            await victim.start()
            kills += 1
            async with load.calm, _connected(victim) as client:
                breaches += [f"kill {kills}: {one}" for one in await _judged(client, load)]
        async with load.calm:
            for task in at_work:
                task.cancel()
            breaches += await _done(victim, data, load)
            await victim.kill()
            breaches += _unsound(data)
    if max(sizes) > LARGEST:
        breaches.append(f"the database had {max(sizes)} bytes")
    waits = sorted(load.waits)
    return Outcome(
        kills=kills,
        written=load.written,
        largest=max(sizes),
        waited=waits[len(waits) * 99 // 100] if waits else 0.0,
        breaches=tuple(f"seed {seed}: {one}" for one in breaches),
    )


async def _prepared(victim: Victims) -> None:
    async with _connected(victim) as client:
        for topic, configs in TOPICS.items():
            asked = creation(topic, 1)
            asked["topics"][0]["configs"] = [
                {"name": name, "value": value} for name, value in configs.items()
            ]
            answer = await client.ask(ApiKey.CREATE_TOPICS, 5, **asked)
            assert answer.topics[0].error_code is ErrorCode.none, answer


@asynccontextmanager
async def _connected(victim: Victims) -> AsyncIterator[Client]:
    client = await Client.to(lambda: victim.address)
    try:
        yield client
    finally:
        client.close()


async def _measured(data: Path, sizes: list[int]) -> None:
    """Take note of the database's size all the time."""
    while True:
        with suppress(FileNotFoundError):  # not made yet
            sizes.append((data / NAME).stat().st_size)
        await asyncio.sleep(_LOOK_EVERY)


async def _judged(client: Client, load: _Load) -> list[str]:
    """Return a sentence for each thing that is there and must not be, or the other way round."""
    try:
        last, fresh, states = [(await whole(client, topic, 0))[1] for topic in TOPICS]
    except Unreadable as error:
        return [str(error)]
    return [
        *blocks(LAST, last, load.blocks),
        *blocks(FRESH, fresh, load.blocks),
        *compacted(states, load.states),
    ]


def blocks(topic: str, found: Sequence[Entry], written: int) -> list[str]:
    """Say what is wrong with the records of a topic whose first ones are deleted.

    Args:
        topic: its name.
        found: its records; one may be there again where its acknowledgement was lost.
        written: how many were acknowledged, numbered from 0.
    """
    if not found:
        return [f"topic {topic}: it is empty"] if topic == LAST and written else []
    numbers = [int.from_bytes((one.value or b"")[:8], "big") for one in found]
    wrong = []
    if [one.offset for one in found] != list(range(found[0].offset, found[-1].offset + 1)):
        wrong.append(f"topic {topic}: there are holes between its offsets")
    if any(after - before not in (0, 1) for before, after in pairwise(numbers)):
        wrong.append(f"topic {topic}: a record is missing")
    if numbers[-1] not in (written - 1, written):
        wrong.append(f"topic {topic}: record {numbers[-1]} is the last of {written}")
    size = len(found) * _BLOCK_BYTES
    if topic == LAST and written * _BLOCK_BYTES > KEPT_BYTES > size:
        wrong.append(f"topic {topic}: {size} bytes are left of {KEPT_BYTES}")
    return wrong


def compacted(found: Sequence[Entry], states: Mapping[bytes, bytes | None]) -> list[str]:
    """Say what is wrong with the records of a topic that is compacted.

    Args:
        found: its records.
        states: the last value of each key; None is a tombstone, which may be gone.
    """
    offsets = [one.offset for one in found]
    there: dict[bytes, bytes | None] = {}
    for one in found:
        there[one.key or b""] = one.value
    wrong = []
    if any(after <= before for before, after in pairwise(offsets)):
        wrong.append(f"topic {STATES}: its offsets are not in order")
    return wrong + [
        f"topic {STATES}: key {key.decode()} has not its last value"
        for key in sorted(there.keys() | states.keys())
        if there.get(key) != states.get(key)
    ]


async def _done(victim: Victims, data: Path, load: _Load) -> list[str]:
    """Return what is not as it has to be once everything is deleted and compacted."""
    end = time.monotonic() + CAUGHT_UP
    while True:
        async with _connected(victim) as client:
            wrong = await _judged(client, load)
            left = [len((await whole(client, topic, 0))[1]) for topic in TOPICS]
        most = [KEPT_BYTES // _BLOCK_BYTES + 1, 0, 2 * KEYS + 2**20 // _STATE_BYTES]
        over = [
            f"topic {topic}: {count} records are left, not {limit}"
            for topic, count, limit in zip(TOPICS, left, most, strict=True)
            if count > limit
        ]
        if wrong or not over or time.monotonic() > end:
            return [*wrong, *over]
        await asyncio.sleep(_LOOK_EVERY)


def _unsound(data: Path) -> list[str]:
    """Return what `stadtbus broker check` finds."""
    try:
        report = check(data / NAME, max_unpacked=2**26)
    except BusError as error:
        return [str(error)]
    return [f"{one.topic} {one.partition} at {one.offset}: {one.what}" for one in report.damage]
