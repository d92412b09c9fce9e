"""Compare-and-swap on a topic: writing to the chain, and knowing what came of it.

An acknowledgement says that a record is in the topic, not that it counts; and where none came in
time the record can still land later. So a writer reads back: it has written when its own entry is
in the chain, and it has failed when another one has taken the place. If neither has happened, it
writes an empty entry to the same place until one of the two has.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bus.admin import TopicSpec
from bus.errors import BusUnavailable, Conflict, OutcomeUnknown, PositionLost, StorageUnusable
from bus.journal.chain import CHAIN, EMPTY, START, Chain, Entry, digest_of, encode
from bus.kafka import Fetched, Record

log = logging.getLogger(__name__)

TOPIC = "_stadtbus.journal"
SPEC = TopicSpec(
    name=TOPIC,
    partitions=1,
    configs={
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "message.timestamp.type": "LogAppendTime",  # what a key may still sign goes by it
    },
)
SETTLE = 10.0
"""Seconds after which a writer gives up to find out what came of its entry."""

PAUSE = 0.05
"""Seconds between two attempts to find out."""


@dataclass(slots=True)
class _Place:
    """The place after an entry, and what took it."""

    after: str
    taken: Entry | None = None


class Writes(Protocol):
    """What the journal needs of a producer."""

    async def append(
        self, topic: str, partition: int, records: list[Record], *, timeout: float
    ) -> int:
        """Write one batch."""


class Reads(Protocol):
    """What the journal needs of a reader."""

    async def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        """Return the first and the end offset by partition."""

    async def read(
        self, topic: str, partition: int, offset: int, *, max_wait: float
    ) -> list[Fetched]:
        """Return records from an offset on."""


class Makes(Protocol):
    """What the journal needs of the administration."""

    async def ensure_topic(self, spec: TopicSpec) -> bool:
        """Make a topic unless it is there."""


class Journal:
    """One node's view of the chain, and its pen.

    Args:
        producer, reader, admin: how the topic is reached.
        apply: called with every entry that counts, in order, as soon as it is read.
        settle: seconds that `append` may take to find out what came of its entry.
    """

    def __init__(
        self,
        producer: Writes,
        reader: Reads,
        admin: Makes,
        apply: Callable[[Entry], None],
        *,
        settle: float = SETTLE,
    ) -> None:
        self._producer, self._reader, self._admin = producer, reader, admin
        self._apply, self._settle = apply, settle
        self._chain = Chain()
        self._position: int | None = None
        self._place: _Place | None = None
        self._reading, self._writing = asyncio.Lock(), asyncio.Lock()
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

    async def open(self) -> None:
        """Make the topic if need be, read the chain, and begin it if nobody has.

        Raises:
            BusUnavailable: the engine cannot be reached.
            Conflict: the topic is there with more than one partition.
            StorageUnusable: the topic holds entries, but not those that they follow.
        """
        await self._admin.ensure_topic(SPEC)
        await self.catch_up()
        while self._chain.head == START:
            try:
                await self.append(CHAIN, {"id": secrets.token_hex(16)})
            except Conflict:
                log.info("another node has begun the journal")

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

    async def append(self, kind: str, body: Mapping[str, Any]) -> Entry:
        """Write an entry after the head that this node has read, and return it once it counts.

        Everything that the caller read from the chain before this call is still so at the entry's
        place; otherwise the call fails.

        Raises:
            Conflict: another entry took the place; validate again, and try again.
            OutcomeUnknown: the engine could not be reached to find out; the entry may take effect
                later.
            EventTooLarge: the entry is too large for the topic.
        """
        after = self._chain.head
        value = encode(after, kind, body, at=_now())
        async with self._writing:
            if self._chain.head == after:
                self._place = place = _Place(after)
                await self._fill(place, value)
                if place.taken is not None and place.taken.digest == digest_of(value):
                    return place.taken
        raise Conflict(
            "another entry took the place in the journal", where=TOPIC, remedy="try again"
        )

    async def _fill(self, place: _Place, value: bytes) -> None:
        """Write to a place, and go on with empty entries until one of whomever has taken it."""
        deadline = time.monotonic() + self._settle
        trouble: Exception | None = None
        while place.taken is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise OutcomeUnknown(
                    "the journal could not be read back in time; the change may still take effect",
                    where=TOPIC,
                    remedy="look whether it has, and try again if not",
                ) from trouble
            trouble = await self._try(value, left)
            if place.taken is None:
                await asyncio.sleep(PAUSE)
                value = encode(place.after, EMPTY, {}, at=_now())

    async def _try(self, value: bytes, left: float) -> Exception | None:
        """Write once and read back; return what went wrong with either."""
        trouble: Exception | None = None
        try:
            # A third, so that a write without an answer leaves time to find out.
            await self._producer.append(TOPIC, 0, [Record(None, value, [])], timeout=left / 3)
        except BusUnavailable as error:
            trouble = error
        try:
            async with asyncio.timeout(left):
                await self.catch_up()
        except (BusUnavailable, TimeoutError) as error:
            return error
        return trouble

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
        if self._place is not None and self._place.after == before:
            self._place.taken = entry
        self._apply(entry)


def _now() -> int:
    return int(time.time() * 1000)
