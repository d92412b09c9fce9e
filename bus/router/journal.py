"""The journal as routers follow it: what they write is decided by a reading of seconds ago."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from bus.errors import BusError
from bus.journal import JournalReader
from bus.journal.reading import Reads
from bus.kafka import boot_clock
from bus.router.journal_state import JournalState
from bus.startable import Startable
from bus.trust.ledger import Ledger

log = logging.getLogger(__name__)

LOOKING = 1.0
"""Seconds between two readings."""

FRESH = 1.5
"""Seconds for which a reading is good enough for what is decided now: two are allowed."""

VALID = 4.0
"""Seconds after a reading until which records may be written that it allowed: five are allowed."""

Flowing = Mapping[str, Mapping[bytes, str]]
"""The grants under which something can flow, with their recipients, by topic."""


@dataclass(frozen=True, slots=True)
class View:
    """What a reading of the journal says.

    Args:
        version: another one says something else.
        state: who is who, and who gets what.
        flowing: the grants in force.
        at: when it was read, in seconds of `boot_clock`.
    """

    version: int
    state: JournalState
    flowing: Flowing
    at: float

    @property
    def valid_until(self) -> float:
        """Until when, by `boot_clock`, what it allows may be written."""
        return self.at + VALID


class JournalFollower(Startable):
    """Reads the journal again and again.

    Args:
        reader: how its topic is reached.
        prepare: is told of grants before anybody learns of them: their feeds have to be there.
    """

    def __init__(self, reader: Reads, prepare: Callable[[Flowing], Awaitable[None]]) -> None:
        self._ledger, self._prepare = Ledger(), prepare
        self._journal = JournalReader(reader, self._ledger.apply)
        self._reading = asyncio.Lock()
        self._version, self._number, self._change = 0, -1, 0
        self._view: View | None = None
        self._task: asyncio.Task[None] | None = None
        self._told: set[Callable[[], None]] = set()

    @property
    def ledger(self) -> Ledger:
        """Who is who, as far as it was read."""
        return self._ledger

    async def start(self) -> None:
        """Read the journal, and go on doing so.

        Raises:
            BusUnavailable: the engine cannot be reached.
        """
        await self._read(0)
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def view(self) -> View:
        """Return what a reading says that is not older than it may be.

        Raises:
            BusUnavailable: the engine cannot be reached.
        """
        return await self._read(FRESH)

    def tell(self, changed: Callable[[], None]) -> None:
        """Have something called at each reading that says something else."""
        self._told.add(changed)

    def leave(self, changed: Callable[[], None]) -> None:
        """Have it called no more."""
        self._told.discard(changed)

    async def _keep(self) -> None:
        trouble = ""
        while True:
            await asyncio.sleep(LOOKING)
            try:
                await self._read(LOOKING / 2)
                trouble = ""
            except BusError as error:
                if str(error) != trouble:
                    log.warning("nothing of restricted contracts is routed: %s", error)
                trouble = str(error)

    async def _read(self, fresh: float) -> View:
        async with self._reading:
            if self._view is not None and boot_clock() - self._view.at <= fresh:
                return self._view
            asked = boot_clock()
            await self._journal.catch_up()
            now = int(time.time() * 1000)
            if self._view is None or self._journal.length != self._number or now >= self._change:
                flowing, change = self._ledger.grants.flowing(now)
                await self._prepare(flowing)
                self._number, self._change = self._journal.length, change
                self._version += 1
                state = JournalState(
                    self._ledger.standing, self._ledger.grants, self._number, self._journal.head
                )
                self._view = View(self._version, state, flowing, asked)
                for changed in [*self._told]:
                    changed()
            else:
                self._view = replace(self._view, at=asked)
            return self._view
