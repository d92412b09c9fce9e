"""The statements of the journal as pages show them: followed, verified here, looked up in."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Sequence
from threading import Lock
from typing import Protocol

from bus.errors import BusError, StorageUnusable
from bus.journal import Entry
from bus.portal.trust.archive import Archive
from bus.trust.grants.concerning import codes_of
from bus.trust.ledger import Ledger
from bus.trust.records import Key, Member, System
from bus.trust.statements import Statement

log = logging.getLogger(__name__)

LOOKING, AGAIN = 1.0, 5.0
"""Seconds between two looks at the journal; until one that cannot be reached is asked again."""

SLICE = 20
"""Entries that are verified in one turn of the loop: some milliseconds."""


class Statements(Protocol):
    """Where statements come from; `bus.trust.client.TrustClient` is one."""

    async def entries(self, after: int) -> tuple[list[Entry], bool]:
        """Return entries that follow a number, and whether there are more."""

    async def hand_in(self, statement: Statement) -> int:
        """Append a statement to the journal, and return the number of its entry."""


class Following:
    """Who is who and who gets what, as far as the journal was read.

    It is written in one loop (`run`); any thread may ask.

    Args:
        statements: where they come from.
        archive: where grants are kept.

    Attributes:
        complete: whether it has been read to its end once.
        trouble: why it cannot be read now; None if it can.
    """

    def __init__(self, statements: Statements, archive: Archive) -> None:
        self.complete = False
        self.trouble: BusError | None = None
        self._statements, self.archive = statements, archive
        self.ledger = Ledger(archive.take)
        self._number, self._lock = 0, Lock()

    async def run(self) -> None:
        """Read the journal again and again, until cancelled."""
        while True:
            try:
                await self.catch_up()
                self.trouble, wait = None, LOOKING
            except BusError as error:
                log.info("the journal's statements cannot be read: %s", error)
                self.trouble, wait = error, AGAIN
            except sqlite3.Error as error:
                # The ledger is ahead of the file now, which only a new beginning mends.
                log.error("pages show no further members and grants: %s", error)
                self.trouble = StorageUnusable(
                    f"grants cannot be kept for pages: {error}",
                    remedy="make room on the node's disk, and restart it",
                )
                return
            await asyncio.sleep(wait)

    async def catch_up(self) -> None:
        """Read the journal to its end.

        Raises:
            BusError: it cannot be read.
        """
        more = True
        while more:
            entries, more = await self._statements.entries(self._number)
            for start in range(0, len(entries), SLICE):
                with self._lock:
                    for entry in entries[start : start + SLICE]:
                        self._number = entry.number
                        self.ledger.apply(entry)
                await asyncio.sleep(0)
            if entries:
                self.archive.commit()
        self.complete = True

    async def hand_in(self, statement: Statement) -> int:
        """Append a statement to the journal, and return the number of its entry.

        Raises:
            InvalidStatement, StatementRefused: the registry finds that it has no effect.
            BusUnavailable, OutcomeUnknown: whether it was appended is not known.
        """
        number = await self._statements.hand_in(statement)
        await self.catch_up()
        return number

    @property
    def chain(self) -> str:
        """The journal's id; empty before it was read."""
        return self.ledger.chain

    def members(self) -> Sequence[Member]:
        """Return all members, in the order in which they were admitted."""
        with self._lock:
            return [*self.ledger.standing.members.values()]

    def member(self, name: str) -> Member | None:
        """Return a member by its id."""
        return self.ledger.standing.members.get(name)

    def name_of(self, member: str) -> str:
        """Return what people call a member; its id if nobody knows."""
        found = self.member(member)
        return member if found is None else found.name

    def key(self, name: str) -> Key | None:
        """Return a key by its name."""
        return self.ledger.standing.key(name)

    def systems_of(self, member: str) -> Sequence[System]:
        """Return a member's systems."""
        with self._lock:
            return self.ledger.standing.systems_of(member)

    def codes_of(self, member: str) -> list[str]:
        """Return the official codes that a member has, had or will have."""
        return codes_of(self.ledger.standing, member)


def now_ms() -> int:
    """Return the time, in milliseconds since 1970."""
    return int(time.time() * 1000)
