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
from bus.errors import BusUnavailable, Conflict, OutcomeUnknown
from bus.journal.chain import CHAIN, EMPTY, START, Entry, digest_of, encode
from bus.journal.reading import TOPIC, JournalReader, Reads
from bus.kafka import Record

log = logging.getLogger(__name__)

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


class Makes(Protocol):
    """What the journal needs of the administration."""

    async def ensure_topic(self, spec: TopicSpec) -> bool:
        """Make a topic unless it is there."""


class Journal(JournalReader):
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
        super().__init__(reader, apply)
        self._producer, self._admin, self._settle = producer, admin, settle
        self._place: _Place | None = None
        self._writing = asyncio.Lock()

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

    def _came(self, before: str, entry: Entry) -> None:
        if self._place is not None and self._place.after == before:
            self._place.taken = entry


def _now() -> int:
    return int(time.time() * 1000)
