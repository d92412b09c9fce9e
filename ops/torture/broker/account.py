"""What a load was told, what is there in the end, and whether the two agree: pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple


class Sent(NamedTuple):
    """A record on its way; `transaction` is empty where it belongs to none."""

    partition: int
    value: bytes
    transaction: str = ""


class Stored(NamedTuple):
    """A record that was acknowledged."""

    partition: int
    value: bytes
    offset: int


class Committing(NamedTuple):
    """A position on its way."""

    group: str
    offset: int


class Committed(NamedTuple):
    """A position that was acknowledged."""

    group: str
    offset: int


class Ending(NamedTuple):
    """A transaction whose end is on its way; `position` is what it commits for a group, if any."""

    transaction: str
    commit: bool
    group: str = ""
    position: int = -1


class Ended(NamedTuple):
    """A transaction whose end was acknowledged."""

    transaction: str


class Created(NamedTuple):
    """A topic whose making was acknowledged."""

    topic: str


class Deleting(NamedTuple):
    """A topic whose deletion is on its way."""

    topic: str


class Deleted(NamedTuple):
    """A topic whose deletion was acknowledged."""

    topic: str


Event = Sent | Stored | Committing | Committed | Ending | Ended | Created | Deleting | Deleted


class Entry(NamedTuple):
    """A record that was found; the marker of a transaction's end has no value."""

    offset: int
    value: bytes | None
    producer: int
    epoch: int
    sequence: int
    key: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is there.

    Attributes:
        log: every record, by partition.
        visible: what those who read only what was committed see, by partition.
        positions: by group.
        topics: all of them.
    """

    log: Mapping[int, Sequence[Entry]]
    visible: Mapping[int, Sequence[bytes]]
    positions: Mapping[str, int]
    topics: AbstractSet[str] = frozenset()


@dataclass(slots=True)
class Account:
    """What a load did and was told, summed up."""

    sent: dict[bytes, Sent] = field(default_factory=dict)
    stored: list[Stored] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)
    committed: dict[str, int] = field(default_factory=dict)
    ending: dict[str, Ending] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    topics: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)

    def note(self, event: Event) -> None:
        """Add what happened."""
        match event:
            case Sent():
                self.sent[event.value] = event
            case Stored():
                self.stored.append(event)
            case Committing(group, offset):
                self.asked[group] = offset
            case Committed(group, offset):
                self.committed[group] = offset
            case Ending(transaction):
                self.ending[transaction] = event
            case Ended(transaction):
                self.ended.add(transaction)
            case Created(topic):
                self.topics.add(topic)
            case Deleting(topic):
                self.topics.discard(topic)
            case Deleted(topic):
                self.deleted.add(topic)

    @property
    def acknowledged(self) -> int:
        """How many records, positions and transactions were."""
        return len(self.stored) + len(self.committed) + len(self.ended)

    def breaches(self, found: Found) -> list[str]:
        """Return a sentence for each promise that was not kept."""
        return [
            *self._order(found),
            *self._records(found),
            *self._positions(found),
            *self._transactions(found),
            *(f"topic {topic} is lost" for topic in self.topics - found.topics),
            *(f"topic {topic} is back" for topic in self.deleted & found.topics),
        ]

    @staticmethod
    def _order(found: Found) -> Iterable[str]:
        for partition, entries in found.log.items():
            offsets = [entry.offset for entry in entries]
            if offsets != list(range(len(offsets))):
                yield f"partition {partition}: offsets have gaps or repeats: {offsets}"
            numbers = Counter(
                entry[2:] for entry in entries if entry.value is not None and entry.producer >= 0
            )
            for number, times in numbers.items():
                if times > 1:
                    yield f"partition {partition}: stored {times} times: {number}"

    def _records(self, found: Found) -> Iterable[str]:
        log = {p: {e.offset: e.value for e in entries} for p, entries in found.log.items()}
        for partition, value, offset in self.stored:
            there = log.get(partition, {}).get(offset)
            if there != value:
                yield f"partition {partition}: {value!r} is lost: at {offset} is {there!r}"
        times = Counter(v for places in log.values() for v in places.values() if v is not None)
        for value, count in times.items():
            if value not in self.sent:
                yield f"nobody sent {value!r}"
            elif count > 1:
                yield f"{value!r} is there {count} times"
        visible = {value for values in found.visible.values() for value in values}
        for value in times:
            sent = self.sent.get(value)
            if sent and not sent.transaction and value not in visible:
                yield f"{value!r} is there and not seen"

    def _positions(self, found: Found) -> Iterable[str]:
        for group, offset in self.committed.items():
            there = found.positions.get(group, -1)
            if not offset <= there <= self.asked[group]:
                yield f"group {group}: {offset} was committed, {there} is there"

    def _transactions(self, found: Found) -> Iterable[str]:
        visible = {value for values in found.visible.values() for value in values}
        values: defaultdict[str, set[bytes]] = defaultdict(set)
        for sent in self.sent.values():
            if sent.transaction:
                values[sent.transaction].add(sent.value)
        expected: dict[str, int] = {}
        for name, members in values.items():
            ending = self.ending.get(name)
            seen = members & visible
            if ending is None or not ending.commit:
                if seen:
                    yield f"transaction {name} was not committed, and {len(seen)} records are seen"
                continue
            if seen and seen != members:
                yield f"transaction {name} is torn: {len(seen)} of {len(members)} records are seen"
            if name in self.ended and not seen:
                yield f"transaction {name} is lost"
            if seen and ending.group:
                expected[ending.group] = max(expected.get(ending.group, -1), ending.position)
        groups = {ending.group for ending in self.ending.values() if ending.group}
        for group in groups:
            there = found.positions.get(group, -1)
            if there != expected.get(group, -1):
                yield f"group {group}: {there} is there, its transactions say {expected.get(group)}"
