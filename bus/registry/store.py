"""The state and the journal behind it: fresh reads, and changes that are settled."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from bus.errors import BusError, BusUnavailable, Conflict
from bus.journal import Journal
from bus.registry.rules import Write
from bus.registry.state import State

log = logging.getLogger(__name__)

T = TypeVar("T")

ATTEMPTS = 100
"""How often a change is decided anew because another node was quicker."""

FRESH_WITHIN = 2.0
"""Seconds to wait for the newest entries: less than clients wait for an answer."""

RESPITE = 2.0
"""Seconds that readings do not ask again for after the bus did not answer."""


class Store:
    """What the registry knows, as of now.

    Args:
        journal: where changes are written; it applies every entry to the state.
        state: what the journal's entries come to.
    """

    def __init__(self, journal: Journal, state: State) -> None:
        self.journal, self.state = journal, state
        self._writing = asyncio.Lock()
        self._respite_until = 0.0

    async def refresh(self) -> None:
        """Read what other nodes have written; without the bus, what is known has to do."""
        if time.monotonic() < self._respite_until:
            return
        try:
            await self.catch_up()
        except BusError as error:
            self._respite_until = time.monotonic() + RESPITE
            log.warning("answering with what is known, as the journal is not there: %s", error)

    async def find(self, look: Callable[[State], T | None]) -> T | None:
        """Look something up; what is not known is looked up again in the newest state.

        Raises:
            BusUnavailable: it is not known, and whether it exists cannot be said now.
        """
        found = look(self.state)
        if found is None:
            await self.catch_up()
            found = look(self.state)
        return found

    async def change(self, decide: Callable[[State], T | Write[T]]) -> T:
        """Decide on the newest state, and write what the decision asks for.

        Raises:
            Refusal: the decision is no.
            BusUnavailable, OutcomeUnknown: the journal cannot be read or written.
        """
        async with self._writing:
            await self.catch_up()
            for _ in range(ATTEMPTS):
                outcome = decide(self.state)
                if not isinstance(outcome, Write):
                    return outcome
                try:
                    await self.journal.append(outcome.kind, outcome.body)
                except Conflict:
                    continue
                return outcome.answer(self.state)
        raise BusUnavailable("other nodes were quicker every time", remedy="try again")

    async def catch_up(self) -> None:
        """Read what other nodes have written.

        Raises:
            BusUnavailable: the journal cannot be read now.
        """
        try:
            async with asyncio.timeout(FRESH_WITHIN):
                await self.journal.catch_up()
        except TimeoutError as error:
            raise BusUnavailable(f"the journal was not read in {FRESH_WITHIN} s") from error
