"""Topics from which something always goes, and what has to be left of them."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from kio.schema.errors import ErrorCode

from bus.broker.keys import ApiKey
from bus.broker.storage.database import now_ms
from ops.torture.broker.account import Entry
from ops.torture.broker.client import Client, produce
from ops.torture.broker.reading import topics_of, whole

COMPACTED, SHORT, CUT, DELETED = "compacted", "short", "cut", "deleted"
ALL = -1
"""An offset: all of the topic is to go."""
_CONFIGS = {
    COMPACTED: {
        "cleanup.policy": "compact",
        "segment.ms": "1",
        "min.cleanable.dirty.ratio": "0",
        "delete.retention.ms": "0",
    },
    SHORT: {"retention.bytes": "200000"},
    CUT: {},
    DELETED: {},
}
_KEYS = 12
_FILLING, _FILLED = 300_000, 10  # bytes of a record of the topic that is deleted, and how many
_EACH = 4  # records of a batch of the topic that is cut
_LEAST = 200_000  # bytes that stay of the short one
_MOST = {COMPACTED: 2 * _KEYS * 4200, SHORT: _LEAST + 41_000}


class Asked(NamedTuple):
    """A record on its way."""

    topic: str
    value: bytes


class Told(NamedTuple):
    """A record that was acknowledged."""

    topic: str
    value: bytes
    offset: int


class Removing(NamedTuple):
    """What lies before an offset is to go; all of the topic, where that is `ALL`."""

    topic: str
    before: int


class Removed(NamedTuple):
    """That was acknowledged."""

    topic: str
    before: int


Event = Asked | Told | Removing | Removed


def key_of(value: bytes) -> bytes:
    """Return a record's key, which its value begins with."""
    return value.partition(b" ")[0]


@dataclass(slots=True)
class Account:
    """What was asked and acknowledged, summed up."""

    asked: dict[str, list[bytes]] = field(default_factory=lambda: {one: [] for one in _CONFIGS})
    told: dict[str, dict[int, bytes]] = field(default_factory=lambda: {one: {} for one in _CONFIGS})
    removing: dict[str, int] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)

    def note(self, event: Event) -> None:
        """Add what happened."""
        match event:
            case Asked(topic, value):
                self.asked[topic].append(value)
            case Told(topic, value, offset):
                self.told[topic][offset] = value
            case Removing(topic, before):
                self.removing[topic] = before
            case Removed(topic, before):
                self.removed[topic] = before

    @property
    def acknowledged(self) -> int:
        """How much was."""
        return sum(map(len, self.told.values())) + len(self.removed)

    def breaches(self, topic: str, start: int, left: Sequence[Entry]) -> list[str]:
        """Return a sentence for each promise that was not kept with a topic's records."""
        told, asked = self.told[topic], set(self.asked[topic])
        offsets = [entry.offset for entry in left]
        found = [
            f"{topic}: at {entry.offset} is something else"
            for entry in left
            if entry.value not in asked or told.get(entry.offset, entry.value) != entry.value
        ]
        if offsets != sorted(set(offsets)):
            found.append(f"{topic}: offsets are out of order: {offsets}")
        if topic == COMPACTED:
            return found + self._values(left)
        end = max([start, *(offset + 1 for offset in (*told, *offsets))])
        if offsets != list(range(start, end)):
            found.append(f"{topic}: {start} to {end} should be there, {offsets} is")
        if topic == SHORT:
            size = sum(len(entry.value or b"") for entry in left)
            if size < min(_LEAST, sum(map(len, told.values()))):
                found.append(f"{topic}: only {size} bytes are left")
        elif not self.removed.get(topic, 0) <= start <= self.removing.get(topic, 0):
            found.append(f"{topic}: begins at {start}")
        return found

    def _values(self, left: Sequence[Entry]) -> list[str]:
        """Compare the last value of each key."""
        may: dict[bytes, set[bytes]] = {}
        told = set(self.told[COMPACTED].values())
        for value in self.asked[COMPACTED]:
            if value in told:
                may[key_of(value)] = {value}
            else:
                may.setdefault(key_of(value), set()).add(value)
        last = {key_of(entry.value): entry.value for entry in left if entry.value}
        return [
            f"{COMPACTED}: the last value of {key!r} is lost"
            for key, values in may.items()
            if values & told and last.get(key) not in values
        ]


class Writer:
    """One who writes, and deletes, one thing at a time.

    Args:
        client: a connection.
        choose: settles what.
        note: told what is asked and acknowledged.
    """

    def __init__(
        self, client: Client, choose: random.Random, note: Callable[[Event], None]
    ) -> None:
        self._client, self._choose, self._note = client, choose, note
        self._count = 0

    async def prepare(self) -> None:
        """Make the topics, and fill the one that is deleted."""
        for name, configs in _CONFIGS.items():
            topic = {
                "name": name,
                "num_partitions": 1,
                "replication_factor": 1,
                "assignments": [],
                "configs": [{"name": key, "value": value} for key, value in configs.items()],
            }
            answer = await self._client.ask(
                ApiKey.CREATE_TOPICS, 5, topics=[topic], timeout=1000, validate_only=False
            )
            assert answer.topics[0].error_code is ErrorCode.none, answer
        for _ in range(_FILLED):
            await self._write(DELETED, [self._value(_FILLING)])

    async def round(self, number: int, *, last: int) -> None:
        """Write to each topic, and have something deleted now and then."""
        await self._write(COMPACTED, [self._value(4000)])
        await self._write(SHORT, [self._value(40_000)])
        end = await self._write(CUT, [self._value(3000) for _ in range(_EACH)])
        if number % 5 == 0:
            await self._remove_before(end - self._choose.randint(1, _EACH - 1))
        if number == last // 2:
            self._note(Removing(DELETED, ALL))
            await self._client.ask(ApiKey.DELETE_TOPICS, 3, topic_names=[DELETED], timeout=1000)
            self._note(Removed(DELETED, ALL))

    def _value(self, size: int) -> bytes:
        self._count += 1
        key = self._choose.randrange(_KEYS)
        return b"%d %d " % (key, self._count) + self._choose.randbytes(size)

    async def _write(self, topic: str, values: Sequence[bytes]) -> int:
        """Write a batch; return the offset after it."""
        made = DefaultRecordBatchBuilder(2, self._choose.choice((0, 4)), 0, -1, -1, -1, 2**24)
        for offset, value in enumerate(values):
            made.append(offset, now_ms() - 60_000, key_of(value), value, [])
            self._note(Asked(topic, value))
        answer = await self._client.ask(
            ApiKey.PRODUCE, 9, **produce(topic, {0: bytes(made.build())})
        )
        part = answer.responses[0].partition_responses[0]
        assert part.error_code is ErrorCode.none, part
        for number, value in enumerate(values):
            self._note(Told(topic, value, part.base_offset + number))
        return int(part.base_offset) + len(values)

    async def _remove_before(self, offset: int) -> None:
        self._note(Removing(CUT, offset))
        parts = [{"partition_index": 0, "offset": offset}]
        answer = await self._client.ask(
            ApiKey.DELETE_RECORDS, 1, topics=[{"name": CUT, "partitions": parts}], timeout=1000
        )
        assert answer.topics[0].partitions[0].error_code is ErrorCode.none, answer
        self._note(Removed(CUT, offset))


async def as_told(client: Client, account: Account) -> list[str]:
    """Return a sentence for each promise that a running broker has not kept."""
    topics = await topics_of(client)
    breaches = []
    for topic in (COMPACTED, SHORT, CUT):
        if topic in topics:
            start, found = await whole(client, topic, 0)
            left = [entry for entry in found if entry.offset >= start]
            breaches += account.breaches(topic, start, left)
        elif account.told[topic]:
            breaches.append(f"{topic} is lost")
    if DELETED in topics and DELETED in account.removed:
        breaches.append(f"{DELETED} is back")
    if DELETED not in topics and account.told[DELETED] and DELETED not in account.removing:
        breaches.append(f"{DELETED} is lost")
    return breaches


async def shrunk(client: Client) -> bool:
    """Have the topic deleted, if it is still there; say whether the others are small."""
    answer = await client.ask(ApiKey.DESCRIBE_LOG_DIRS, 4, topics=None)
    sizes = {one.name: one.partitions[0].partition_size for one in answer.results[0].topics}
    if DELETED in sizes:
        await client.ask(ApiKey.DELETE_TOPICS, 3, topic_names=[DELETED], timeout=1000)
        return False
    return all(sizes.get(topic, 0) <= most for topic, most in _MOST.items())
