"""Writers settle by reading back: whatever a topic does to their records, they agree."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from bus.admin import TopicSpec
from bus.errors import (
    BusUnavailable,
    Conflict,
    EventTooLarge,
    OutcomeUnknown,
    PositionLost,
    StorageUnusable,
)
from bus.journal import TOPIC, Entry, Journal
from bus.kafka import Fetched, Record


@dataclass
class Topic:
    """A topic whose next appends do what a test says; offsets begin anywhere and have gaps."""

    values: list[tuple[int, bytes]] = field(default_factory=list)
    first: int = 0
    gap: int = 1
    plans: list[Callable[["Topic", bytes], int]] = field(default_factory=list)
    reads: int = 0
    deaf: bool = False

    @property
    def end(self) -> int:
        return self.values[-1][0] + self.gap if self.values else self.first

    def land(self, value: bytes) -> int:
        self.values.append((self.end, value))
        return self.values[-1][0]

    async def ensure_topic(self, spec: TopicSpec) -> bool:
        assert (spec.name, spec.partitions) == (TOPIC, 1)
        assert spec.configs["cleanup.policy"] == "delete"
        assert spec.configs["retention.ms"] == "-1"
        return not self.values

    async def append(
        self, topic: str, partition: int, records: list[Record], *, timeout: float
    ) -> int:
        assert (topic, partition) == (TOPIC, 0)
        await asyncio.sleep(0)
        value = records[0].value
        assert value is not None
        return self.plans.pop(0)(self, value) if self.plans else self.land(value)

    async def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        self.reads += 1
        await asyncio.sleep(0)
        if self.deaf:
            raise BusUnavailable("nobody answers")
        return {0: (self.first, self.end)}

    async def read(
        self, topic: str, partition: int, offset: int, *, max_wait: float
    ) -> list[Fetched]:
        await asyncio.sleep(0)
        found = [pair for pair in self.values if pair[0] >= offset][:2]
        return [Fetched(topic, partition, at, 0, None, value, ()) for at, value in found]


def unknown(landed: bool) -> Callable[[Topic, bytes], int]:
    def plan(topic: Topic, value: bytes) -> int:
        if landed:
            topic.land(value)
        raise OutcomeUnknown("no answer")

    return plan


def late(topic: Topic, value: bytes) -> int:
    """Fail now, and land after the next record has."""

    def next_one(topic: Topic, following: bytes) -> int:
        offset = topic.land(following)
        topic.land(value)
        return offset

    topic.plans.insert(0, next_one)
    raise OutcomeUnknown("no answer")


async def opened(topic: Topic, *, settle: float = 5.0) -> tuple[Journal, list[Entry]]:
    entries: list[Entry] = []
    journal = Journal(topic, topic, topic, entries.append, settle=settle)
    await journal.open()
    return journal, entries


def told(entries: list[Entry]) -> list[str]:
    """What took effect."""
    return [entry.body["n"] for entry in entries if entry.kind == "note"]


async def test_an_entry_is_written_and_read_back() -> None:
    journal, entries = await opened(Topic())
    entry = await journal.append("note", {"n": "one"})
    assert (entry.kind, entry.body, entry.number) == ("note", {"n": "one"}, 2)
    assert entries[-1] == entry
    assert (journal.head, journal.length) == (entry.digest, 2)


async def test_two_that_begin_the_journal_share_one_chain() -> None:
    topic = Topic()
    (one, _), (two, _) = await asyncio.gather(opened(topic), opened(topic))
    await one.catch_up()
    await two.catch_up()
    assert one.id == two.id != ""
    assert one.head == two.head


async def test_the_second_of_two_writers_is_told_to_validate_again() -> None:
    topic = Topic()
    (one, _), (two, entries) = await opened(topic), await opened(topic)
    await one.append("note", {"n": "one"})
    with pytest.raises(Conflict):
        await two.append("note", {"n": "two"})
    await two.append("note", {"n": "two"})
    assert told(entries) == ["one", "two"]


async def test_writers_that_race_agree_on_every_entry() -> None:
    topic = Topic(first=7, gap=3)
    nodes = [await opened(topic) for _ in range(3)]

    async def write(number: int, journal: Journal) -> None:
        for count in range(10):
            while True:
                try:
                    await journal.append("note", {"n": f"{number}.{count}"})
                    break
                except Conflict:
                    continue

    await asyncio.gather(*(write(n, journal) for n, (journal, _) in enumerate(nodes)))
    for journal, _ in nodes:
        await journal.catch_up()
    views = [told(entries) for _, entries in nodes]
    assert views[0] == views[1] == views[2]
    assert sorted(views[0]) == sorted(f"{n}.{count}" for n in range(3) for count in range(10))


async def test_a_write_that_got_no_answer_but_landed_counts() -> None:
    topic = Topic()
    journal, entries = await opened(topic)
    topic.plans = [unknown(landed=True)]
    await journal.append("note", {"n": "one"})
    assert told(entries) == ["one"]


async def test_a_write_that_got_lost_fails_only_once_its_place_is_taken() -> None:
    topic = Topic()
    journal, entries = await opened(topic)
    topic.plans = [unknown(landed=False)]
    with pytest.raises(Conflict):
        await journal.append("note", {"n": "one"})
    assert [entry.kind for entry in entries] == ["chain", "empty"]


async def test_a_write_that_lands_late_is_void() -> None:
    topic = Topic()
    journal, entries = await opened(topic)
    topic.plans = [late]
    with pytest.raises(Conflict):
        await journal.append("note", {"n": "one"})
    await journal.append("note", {"n": "two"})
    await journal.catch_up()
    assert told(entries) == ["two"]
    assert len(topic.values) == 4
    assert told((await opened(topic))[1]) == ["two"]


async def test_a_write_that_lands_before_the_empty_entry_counts() -> None:
    topic = Topic()
    journal, entries = await opened(topic)
    lost: list[bytes] = []

    def keep(topic: Topic, value: bytes) -> int:
        lost.append(value)
        raise OutcomeUnknown("no answer")

    def both(topic: Topic, value: bytes) -> int:
        topic.land(lost[0])
        return topic.land(value)

    topic.plans = [keep, both]
    await journal.append("note", {"n": "one"})
    assert told(entries) == ["one"]


async def test_a_repeated_write_counts_once() -> None:
    topic = Topic()
    journal, entries = await opened(topic)
    topic.plans = [lambda topic, value: (topic.land(value), topic.land(value))[0]]
    await journal.append("note", {"n": "one"})
    await journal.append("note", {"n": "two"})
    assert told(entries) == ["one", "two"]


async def test_an_engine_that_does_not_answer_leaves_the_outcome_unknown() -> None:
    topic = Topic()
    journal, entries = await opened(topic, settle=0.2)
    topic.deaf = True
    with pytest.raises(OutcomeUnknown, match="may still take effect"):
        await journal.append("note", {"n": "one"})
    topic.deaf = False
    await journal.catch_up()
    assert told(entries) == ["one"]


async def test_an_entry_that_is_too_large_is_refused_at_once() -> None:
    topic = Topic()
    journal, entries = await opened(topic)

    def refuse(topic: Topic, value: bytes) -> int:
        raise EventTooLarge("too large")

    topic.plans = [refuse]
    with pytest.raises(EventTooLarge):
        await journal.append("note", {"n": "one"})
    await journal.append("note", {"n": "two"})
    assert told(entries) == ["two"]


async def test_a_copy_of_the_topic_with_other_offsets_is_the_same_chain() -> None:
    topic = Topic()
    journal, entries = await opened(topic)
    topic.plans = [late]
    with pytest.raises(Conflict):
        await journal.append("note", {"n": "one"})
    await journal.append("note", {"n": "two"})
    copy = Topic(first=1000, gap=5)
    for _, value in topic.values:
        copy.land(value)
        copy.land(b"a mark of the copying")
    same, copied = await opened(copy)
    assert (same.head, same.id, same.length) == (journal.head, journal.id, journal.length)
    assert copied == entries


async def test_a_topic_without_its_beginning_is_refused() -> None:
    topic = Topic()
    journal, _ = await opened(topic)
    await journal.append("note", {"n": "one"})
    del topic.values[0]
    with pytest.raises(StorageUnusable, match="first entries are gone"):
        await opened(topic)


async def test_a_topic_that_has_become_shorter_is_refused() -> None:
    topic = Topic()
    journal, _ = await opened(topic)
    await journal.append("note", {"n": "one"})
    del topic.values[-1]
    with pytest.raises(PositionLost, match="read to 2 before"):
        await journal.catch_up()


async def test_those_who_wait_together_are_served_by_one_reading() -> None:
    topic = Topic()
    journal, _ = await opened(topic)
    topic.reads = 0
    await asyncio.gather(*(journal.catch_up() for _ in range(50)))
    assert topic.reads == 2
