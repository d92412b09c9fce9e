"""Letters are re-driven once, to the group that failed; also by two at once, or killed midway."""

import asyncio
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import pytest

from bus.errors import BadEvent, BusUnavailable, Conflict, NotFound, NotRedrivable, OutcomeUnknown
from bus.event import Event
from bus.kafka import Fetched, Producer, Record, Transactor
from bus.letters import (
    Action,
    Decider,
    Filter,
    Letter,
    Shelf,
    carrying,
    dead_topic,
    letters,
    redrive_topic,
    redriven,
    waiting,
)
from bus.publisher import Publisher
from bus.subscriber import RetryPolicy, Subscriber
from tests.city import GROUP, READINGS, SYSTEM, City, reading
from tests.waiting import until

pytestmark = pytest.mark.slow

MEMBER = "de.agency.statistik"
OTHER = f"{MEMBER}.other"
DEAD, REDRIVE = dead_topic(MEMBER, READINGS), redrive_topic(MEMBER, READINGS)
QUICK = RetryPolicy(first=0.01, longest=0.02, limit=3, pause=0.05)


class Agency:
    """A subscriber beside the test; it refuses the ids in ``bad``."""

    def __init__(self, city: City, bad: Collection[str] = (), group: str = GROUP) -> None:
        self.seen: list[Event] = []
        self.bad = set(bad)
        self._subscriber = Subscriber(group, [READINGS], city.settings, retry=QUICK)
        self._task: asyncio.Task[None] | None = None

    async def handle(self, event: Event) -> None:
        if event.id in self.bad:
            raise BadEvent("not this one")
        self.seen.append(event)

    async def run(self) -> None:
        async with self._subscriber:
            await self._subscriber.run(self.handle)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._subscriber.stop()
        await asyncio.wait_for(self._task, 20)


async def publish(city: City, count: int) -> list[str]:
    async with Publisher(SYSTEM, city.settings) as publisher:
        sent = await publisher.publish_many(READINGS, [reading(number) for number in range(count)])
        return [receipt.id for receipt in sent]


async def letters_of(city: City, wanted: Filter | None = None) -> list[Letter]:
    async with Shelf(city.settings.kafka) as shelf:
        return await waiting(shelf, DEAD, wanted or Filter())


async def there(city: City, count: int) -> list[Letter]:
    """Wait until so many letters wait, and return them."""

    async def enough() -> bool:
        return len(await letters_of(city)) == count

    await until(enough)
    return await letters_of(city)


async def test_a_letter_goes_to_the_group_that_failed_and_to_no_other(city: City) -> None:
    ids = await publish(city, 4)
    async with Agency(city, ids[1:3]) as agency, Agency(city, group=OTHER) as other:
        await until(lambda: (len(agency.seen), len(other.seen)) == (2, 4))
        first, second = await there(city, 2)
        agency.bad = set()
        outcome = await Decider(city.settings.kafka, "anna").redrive([first], "fixed")
        assert [one.offset for one in outcome.done] == [first.offset]
        await until(lambda: len(agency.seen) == 3)
        came = agency.seen[-1]
        await Decider(city.settings.kafka, "anna").redrive([second])
        await until(lambda: len(agency.seen) == 4)
    assert {event.id for event in agency.seen} == set(ids)
    assert len(other.seen) == 4
    assert came.redriven == (first.origin, (first.place,))
    assert came.position is not None
    assert came.position.topic == REDRIVE
    assert came.data == reading(int(first.origin.rpartition("/")[2])) | {"quality_flag": None}
    assert await letters_of(city) == []
    # What was handled comes to neither again, and is not read again by who follows.
    async with Agency(city) as successor:
        last = await publish(city, 1)
        await until(lambda: bool(successor.seen))
    assert [event.id for event in successor.seen] == last


async def test_what_fails_again_waits_again_with_its_history(city: City) -> None:
    (id_,) = await publish(city, 1)
    async with Agency(city, [id_]) as agency:
        (first,) = await there(city, 1)
        await Decider(city.settings.kafka, "anna").redrive([first])

        async def anew() -> bool:
            return [one.offset for one in await letters_of(city)] == [first.offset + 1]

        await until(anew)
        (second,) = await letters_of(city)
        assert second.topic == DEAD
        assert second.origin == first.origin
        assert second.earlier == (first.place,)
        assert second.headers == first.headers
        agency.bad = set()
        await Decider(city.settings.kafka, "anna").redrive([second])
        await until(lambda: len(agency.seen) == 1)
    assert agency.seen[0].redriven == (first.origin, (first.place, second.place))


async def test_an_event_that_lies_there_twice_is_handled_once(city: City) -> None:
    """Written twice on the redrive topic, past all that keeps it from being."""
    (id_,) = await publish(city, 1)
    async with Agency(city, [id_]) as agency:
        (letter,) = await there(city, 1)
        agency.bad = set()
        async with Producer(city.settings.kafka) as producer:
            again = redriven(letter)
            await producer.append(REDRIVE, letter.partition, [again, again, Record(b"x", b"y")])
        await Decider(city.settings.kafka, "anna").redrive([letter])
        place = (REDRIVE, letter.partition)

        async def read_all() -> bool:
            consumer = agency._subscriber._workers.get(place)
            return consumer is not None and consumer.position >= 4

        await until(read_all)
    assert [event.id for event in agency.seen] == [id_]


async def make_letters(city: City, count: int, *, partitions: int = 3) -> None:
    """Write letters by hand; the redrive topic is made by a subscriber."""
    async with Agency(city):
        pass
    async with Producer(city.settings.kafka) as producer:
        for partition in range(partitions):
            written = [
                next(
                    letters(
                        Fetched(READINGS, partition, n, 0, b"k", b"v", [("ce_id", b"1")]),
                        "bad-data" if n % 2 else "bad-event",
                        "d",
                        GROUP,
                        datetime.now(UTC),
                    )
                )
                for n in range(count)
            ]
            await producer.append(DEAD, partition, written)


async def test_two_operators_at_once_re_drive_each_letter_once(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "AT_ONCE", 5)
    await make_letters(city, 30)
    found = await letters_of(city)
    both = await asyncio.gather(
        Decider(city.settings.kafka, "anna").redrive(found),
        Decider(city.settings.kafka, "ben").redrive(found),
    )
    done = [(one.partition, one.offset) for outcome in both for one in outcome.done]
    assert sorted(done) == sorted((one.partition, one.offset) for one in found)
    assert len(await records_of(city, 90)) == 90
    assert all(len(outcome.done) + len(outcome.already) == 90 for outcome in both)


@pytest.mark.parametrize("counts", [True, False], ids=["it counts", "it does not"])
async def test_an_outcome_that_nobody_knows_is_found_out(
    city: City, monkeypatch: pytest.MonkeyPatch, counts: bool
) -> None:
    """The answer to a transaction's end is lost once, after it took effect or before."""
    await make_letters(city, 3)
    found = await letters_of(city)
    write = Transactor.write
    lost: list[Sequence[tuple[str, int, Record]]] = []

    async def losing(self: Transactor, records: Sequence[tuple[str, int, Record]]) -> None:
        if counts or lost:
            await write(self, records)
        if not lost:
            lost.append(records)
            raise OutcomeUnknown("no answer", where="a test")

    monkeypatch.setattr(Transactor, "write", losing)
    outcome = await Decider(city.settings.kafka, "anna").redrive(found)
    assert (len(outcome.done), len(outcome.already), len(lost)) == (9, 0, 1)
    assert sorted(await records_of(city, 9)) == sorted(one.place for one in found)


async def test_an_engine_that_is_away_afterwards_leaves_the_outcome_unknown(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_letters(city, 1)
    found = await letters_of(city)

    async def losing(self: Transactor, _: Sequence[tuple[str, int, Record]]) -> None:
        monkeypatch.setattr(Transactor, "start", away)
        raise OutcomeUnknown("no answer", where="a test")

    async def away(_: Transactor) -> None:
        raise BusUnavailable("nobody answers", where="a test")

    monkeypatch.setattr(Transactor, "write", losing)
    with pytest.raises(OutcomeUnknown):
        await Decider(city.settings.kafka, "anna").redrive(found)


@pytest.mark.parametrize("where", ["between the writes", "before the end"])
async def test_a_kill_in_the_middle_neither_loses_nor_doubles(city: City, where: str) -> None:
    await make_letters(city, 3)
    found = await letters_of(city)
    await Decider(city.settings.kafka, "anna").discard(found[:1], "an example")
    arguments = ["-m", "tests.letters.dying", city.settings.kafka.bootstrap, DEAD, where]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 20) == b"here\n"
    process.kill()
    await process.wait()
    assert len(await letters_of(city)) == 8
    outcome = await Decider(city.settings.kafka, "ben").redrive(found)
    assert (len(outcome.done), len(outcome.already)) == (8, 1)
    assert {one.who for one in outcome.done} == {"ben"}
    assert sorted(await records_of(city, 8)) == sorted(one.place for one in found[1:])
    assert await letters_of(city) == []


async def records_of(city: City, least: int) -> list[str]:
    """Return which letters lie on the redrive topic, each once for each time that it does.

    Waits for so many: Kafka answers before the marks of a commit are on every partition.
    """

    async def enough() -> bool:
        return len(await _records(city)) >= least

    await until(enough)
    return await _records(city)


async def _records(city: City) -> list[str]:
    found: list[str] = []
    async with Shelf(city.settings.kafka) as shelf:
        for partition, (first, end) in (await shelf.reader.bounds(REDRIVE)).items():
            offset = first
            while offset < end:
                read = await shelf.reader.read(REDRIVE, partition, offset, max_wait=0)
                if not read:
                    break
                found += [dict(one.headers)["stadtbus-redrive-letters"].decode() for one in read]
                offset = read[-1].offset + 1
    return found


async def test_who_decides_is_told_what_others_decided(city: City) -> None:
    await make_letters(city, 2, partitions=1)
    found = await letters_of(city)
    anna, ben = (Decider(city.settings.kafka, who) for who in ("anna", "ben"))
    await anna.discard(found[:1], "an example")
    outcome = await ben.redrive(found)
    assert [(one.offset, one.who) for one in outcome.done] == [(1, "ben")]
    assert [(d.action, d.who, d.reason) for d in outcome.already] == [
        (Action.discarded, "anna", "an example")
    ]
    async with Shelf(city.settings.kafka) as shelf:
        (count,) = (await shelf.counts()).values()
        assert (count.waiting, count.redriven, count.discarded) == (0, 1, 1)
        with pytest.raises(Conflict, match="discarded by anna"):
            await waiting(shelf, DEAD, Filter(spots=frozenset({(0, 0)})))
        with pytest.raises(NotFound):
            await waiting(shelf, DEAD, Filter(spots=frozenset({(0, 9)})))


async def test_letters_are_found_by_reason_and_group(city: City) -> None:
    await make_letters(city, 10)
    assert len(await letters_of(city, Filter(reason="bad-data"))) == 15
    assert await letters_of(city, Filter(group=OTHER)) == []
    assert len(await letters_of(city, Filter(until=datetime.now(UTC)))) == 30
    assert await letters_of(city, Filter(since=datetime.now(UTC))) == []


async def test_what_cannot_be_re_driven_is_said_before_anything_is_done(city: City) -> None:
    await make_letters(city, 1, partitions=1)
    async with Producer(city.settings.kafka) as producer:
        event = Fetched(READINGS, 1, 0, 0, b"k", b"v", [])
        small = list(letters(event, "bad-event", "d", GROUP, datetime.now(UTC)))[1]
        await producer.append(DEAD, 1, [small])
    with pytest.raises(NotRedrivable, match="left out as too large"):
        await Decider(city.settings.kafka, "anna").redrive(await letters_of(city))
    assert len(await letters_of(city)) == 2


async def test_nothing_is_re_driven_where_nobody_reads_it(city: City) -> None:
    letter = (await made_up(city))[0]
    with pytest.raises(Conflict, match="no subscriber"):
        await Decider(city.settings.kafka, "anna").redrive([letter])


async def made_up(city: City) -> list[Letter]:
    await make_letters(city, 1, partitions=1)
    found = await letters_of(city)
    return [replace(found[0], topic=dead_topic(MEMBER, "never.read.v1"))]
