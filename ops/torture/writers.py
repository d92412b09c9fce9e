"""Writers that append to the journal side by side, each giving out the next number."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bus.admin import Admin
from bus.errors import BusUnavailable, Conflict
from bus.journal import Journal
from bus.journal.chain import Entry
from bus.kafka import LogReader, Producer
from bus.settings import KafkaSettings
from ops.torture import stall
from ops.torture.judgement import Written

WRITERS = 3
PACE = 0.2
"""Seconds between two entries of a writer at the most."""

STEADY = 5
"""Further accepted entries after which the journal is taken to go on."""

KIND = "number"


class Writer:
    """One node's journal, from which numbers are given out, as the registry gives schemas' ids.

    Args:
        kafka: how to reach the engine.
        choose: settles the pace.
    """

    def __init__(self, kafka: KafkaSettings, choose: random.Random) -> None:
        self._kafka, self._choose = kafka, choose
        self._highest = 0
        self.entries: list[Written] = []
        self.accepted: list[Written] = []
        self.moments: list[float] = []
        self.unknown = 0

    async def open(self, stack: AsyncExitStack) -> None:
        """Connect, and read what is there."""
        admin = await stack.enter_async_context(Admin(self._kafka))
        producer = await stack.enter_async_context(Producer(self._kafka))
        reader = await stack.enter_async_context(LogReader(self._kafka))
        self._journal = Journal(producer, reader, admin, self._apply)
        await self._journal.open()

    async def work(self, stop: asyncio.Event) -> None:
        """Give out numbers until `stop` is set."""
        while not stop.is_set():
            try:
                await self._journal.catch_up()
                entry = await self._journal.append(KIND, {"id": self._highest + 1})
            except Conflict:
                continue  # another writer was quicker: with what it wrote, decide anew
            except BusUnavailable:
                self.unknown += 1
                continue
            self.accepted.append(_written(entry))
            self.moments.append(asyncio.get_running_loop().time())
            await asyncio.sleep(self._choose.uniform(0, PACE))

    async def catch_up(self) -> None:
        """Read to the end."""
        await self._journal.catch_up()

    def _apply(self, entry: Entry) -> None:
        self.entries.append(_written(entry))
        if entry.kind == KIND:
            self._highest = max(self._highest, entry.body["id"])


@dataclass(slots=True)
class Writers:
    """Writers at work."""

    kafka: KafkaSettings
    writers: list[Writer]
    _stop: asyncio.Event
    _tasks: list["asyncio.Task[None]"]

    @property
    def moments(self) -> list[float]:
        """When entries were accepted."""
        return sorted(moment for writer in self.writers for moment in writer.moments)

    @property
    def accepted(self) -> list[Written]:
        """The entries that writers were told are in."""
        return [entry for writer in self.writers for entry in writer.accepted]

    @property
    def unknown(self) -> int:
        """How often a writer was left without knowing."""
        return sum(writer.unknown for writer in self.writers)

    async def served(self) -> None:
        """Return once `STEADY` further entries are accepted.

        Raises:
            Stalled: they are not in time.
        """
        goal = len(self.moments) + STEADY

        def missing() -> list[str]:
            taken = len(self.moments)
            return [f"the journal took {taken} of {goal} entries"] if taken < goal else []

        await stall.until_there(missing, self.check)

    def check(self) -> None:
        """Raise what ended a writer."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def end(self) -> list[list[Written]]:
        """Stop writing; return all entries as each writer has read them, and as a new reader does.

        Raises:
            BusUnavailable: the journal cannot be read.
        """
        self._stop.set()
        await asyncio.gather(*self._tasks)
        async with AsyncExitStack() as stack:
            late = Writer(self.kafka, random.Random(0))
            await late.open(stack)
            for writer in (*self.writers, late):
                await writer.catch_up()
        return [writer.entries for writer in (*self.writers, late)]


@asynccontextmanager
async def writing(kafka: KafkaSettings, seed: int) -> AsyncIterator[Writers]:
    """Append to the journal for the time of a block."""
    choose, stop = random.Random(seed), asyncio.Event()
    writers = [Writer(kafka, random.Random(choose.randrange(2**31))) for _ in range(WRITERS)]
    async with AsyncExitStack() as stack:
        for writer in writers:
            await writer.open(stack)
        tasks = [asyncio.create_task(writer.work(stop)) for writer in writers]
        try:
            yield Writers(kafka, writers, stop, tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _written(entry: Entry) -> Written:
    given = entry.body.get("id") if entry.kind == KIND else None
    return Written(entry.number, entry.digest, given)
