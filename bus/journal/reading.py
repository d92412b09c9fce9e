"""Reading the chain from its topic: what counts, in order, up to its end of now."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from bus.errors import PositionLost, StorageUnusable
from bus.journal.chain import Chain, Entry
from bus.kafka import Fetched

TOPIC = "_stadtbus.journal"


class Reads(Protocol):
    """What the journal needs of a reader."""

    async def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        """Return the first and the end offset by partition."""

    async def read(
        self, topic: str, partition: int, offset: int, *, max_wait: float
    ) -> list[Fetched]:
        """Return records from an offset on."""


class JournalReader:
    """One reader's view of the chain.

    Args:
        reader: how the topic is reached.
        apply: called with every entry that counts, in order, as soon as it is read.
    """

    def __init__(self, reader: Reads, apply: Callable[[Entry], None]) -> None:
        self._reader, self._apply = reader, apply
        self._chain = Chain()
        self._position: int | None = None
        self._reading = asyncio.Lock()
        self._runs_begun = self._runs_done = 0

    @property
    def head(self) -> str:
        """The digest of the last entry that this node has read."""
        return self._chain.head

    @property
    def length(self) -> int:
        """How many entries this node has read."""
        return self._chain.length

    @property
    def id(self) -> str:
        """The chain's own random id."""
        return self._chain.id

    async def catch_up(self) -> None:
        """Read everything that was in the topic when this was called.

        Raises:
            BusUnavailable: the engine cannot be reached.
            PositionLost: the topic no longer holds what follows the last entry read.
            StorageUnusable: the topic holds entries, but not those that they follow.
        """
        begun = self._runs_begun
        async with self._reading:
            if self._runs_done > begun:  # a run that began after this call has read it all
                return
            self._runs_begun += 1
            run = self._runs_begun
            await self._read_to_end()
            self._runs_done = run

    async def _read_to_end(self) -> None:
        first, end = (await self._reader.bounds(TOPIC))[0]
        if self._position is None:
            self._position = first
        if self._position > end:
            raise PositionLost(
                f"the journal ends at {end}, but was read to {self._position} before",
                where=TOPIC,
                remedy="the engine has lost records: restore its data",
            )
        while self._position < end:
            records = await self._reader.read(TOPIC, 0, self._position, max_wait=0.5)
            if not records:  # the last offsets hold no records, only marks of transactions
                break
            for record in records:
                self._take(record)
        if self._chain.has_lost_its_beginning:
            raise StorageUnusable(
                "the journal's first entries are gone",
                where=TOPIC,
                remedy="restore the topic; it must never be compacted or expire",
            )

    def _take(self, record: Fetched) -> None:
        before = self._chain.head
        # A batch that cannot be taken apart is void; an entry's headers say nothing, whole or not.
        entry = (
            None
            if record.is_batch
            else self._chain.follow(record.value, appended=record.timestamp_ms)
        )
        self._position = record.offset + 1
        if entry is None:
            return
        self._came(before, entry)
        self._apply(entry)

    def _came(self, before: str, entry: Entry) -> None:
        """Look at an entry before it is applied, and at the head that it follows."""
