"""The store follows the topic, whatever becomes of either."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from bus.admin import Admin
from bus.disclosures import PARTITIONS, TOPIC, Disclosure, records, spec
from bus.disclosures.follower import LOOKING, Follower
from bus.disclosures.question import Question
from bus.disclosures.store import Store
from bus.disclosures.topic import KEPT_MS
from bus.kafka import LogReader, Record, Transactor
from bus.settings import KafkaSettings
from tests.clock import Clock
from tests.disclosures.told import NOON, told
from tests.waiting import until

KILLS = 6


class Copying(NamedTuple):
    """An engine with the topic, a router's way to write, and what copies it."""

    kafka: KafkaSettings
    router: Transactor
    reader: LogReader
    store: Store
    follower: Follower
    clock: Clock

    async def told(self, disclosures: Sequence[Disclosure]) -> None:
        await self.router.write(records(disclosures))

    async def copied(self, expected: Sequence[Disclosure]) -> None:
        """Copy what is new until all that is there is this, the oldest first.

        Apache Kafka answers before the marks of a commit are on every partition.
        """

        async def there() -> bool:
            await self.follower.refresh(self.reader)
            return kept(self.store) == expected

        await until(there)

    async def make_anew(self) -> None:
        async with Admin(self.kafka) as admin:
            await admin.delete_topic(TOPIC)
            await admin.ensure_topic(spec())


def kept(store: Store) -> list[Disclosure]:
    found = store.find(Question(), 10_000).found
    return [one.disclosure for one in found][::-1]


@pytest.fixture
async def copying(bare: KafkaSettings, tmp_path: Path, clock: Clock) -> AsyncIterator[Copying]:
    """The topic, empty."""
    async with Admin(bare) as admin:
        await admin.ensure_topic(spec())
    clock.now = NOON / 1000
    store = Store(tmp_path / "data")
    async with Transactor(bare, "router") as router, LogReader(bare) as reader:
        yield Copying(bare, router, reader, store, Follower(bare, store, clock), clock)
    store.close()


def some(first: int, end: int) -> list[Disclosure]:
    """Return disclosures of several source partitions, in the order of time."""
    return [told(n, partition=n % 5) for n in range(first, end)]


async def test_it_copies_what_is_committed(copying: Copying) -> None:
    await copying.copied([])
    await copying.told(some(1, 40))
    await copying.copied(some(1, 40))
    await copying.told(some(40, 50))
    await copying.copied(some(1, 50))
    assert copying.follower.at == NOON / 1000
    assert set(copying.store.reach().following) <= set(range(PARTITIONS))


async def test_a_topic_that_was_made_anew_is_copied_from_its_start(copying: Copying) -> None:
    await copying.told(some(1, 40))
    await copying.copied(some(1, 40))
    await copying.make_anew()
    await copying.told(some(50, 150))
    copying.clock.now += LOOKING
    await copying.copied(some(50, 150))


async def test_a_topic_that_ends_before_what_was_copied_is_copied_from_its_start(
    copying: Copying, caplog: pytest.LogCaptureFixture
) -> None:
    await copying.told(some(1, 3))
    await copying.copied(some(1, 3))
    copying.store.add(0, [], 10_000)
    await copying.copied(some(1, 3))
    assert "ends before what was copied of it" in caplog.text
    assert copying.store.reach().following.get(0, 0) < 10_000


async def test_what_cannot_be_read_is_named_and_left_out(
    copying: Copying, caplog: pytest.LogCaptureFixture
) -> None:
    await copying.router.write([(TOPIC, 0, Record(None, b"\1nonsense"))])
    await copying.told(some(1, 20))
    with caplog.at_level(logging.ERROR):
        await copying.copied(some(1, 20))
        await copying.copied(some(1, 20))
    said = [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]
    assert [text.count(f"{TOPIC}/0/0: ") for text in said] == [1]


async def test_what_had_its_time_is_forgotten_even_without_the_topic(copying: Copying) -> None:
    await copying.told(some(1, 4))
    await copying.copied(some(1, 4))
    async with Admin(copying.kafka) as admin:
        await admin.delete_topic(TOPIC)
    copying.clock.now = (NOON + KEPT_MS + 3) / 1000
    async with LogReader(copying.kafka) as reader:  # the other one knew the topic
        await copying.follower.refresh(reader)
    assert kept(copying.store) == some(3, 4)


async def test_there_is_no_topic_yet(fresh: KafkaSettings, tmp_path: Path, clock: Clock) -> None:
    store = Store(tmp_path)
    async with LogReader(fresh) as reader:
        await Follower(fresh, store, clock).refresh(reader)
    assert store.reach().topic_id == ""
    store.close()


async def test_a_copy_that_is_killed_goes_on_without_gap_or_repeat(copying: Copying) -> None:
    data = copying.store._file.parent
    for turn in range(KILLS):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.disclosures.following",
            copying.kafka.bootstrap,
            str(data),
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        writing = asyncio.create_task(copying.told(some(turn * 100 + 1, turn * 100 + 101)))
        for _ in range(1 + turn % 3):
            assert await asyncio.wait_for(process.stdout.readline(), 30) == b"adding\n"
        process.kill()
        await process.wait()
        await writing
    await copying.copied(some(1, KILLS * 100 + 1))
