"""Every event once and in order, whatever hands it over.

Faust leaves records out where a group begins anew, and commits past them (DESIGN.md, "What has
bitten us"). So it is not relied on for that: the state says how far each partition is, in the same
records that hold the view, and what is missing between there and what Faust hands over is read from
the log. What comes again is passed over.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Protocol

from bus.contracts import Contract
from bus.errors import BadEvent, BusUnavailable, InvalidEvent, PositionLost, UndecodableEvent
from bus.event import Event, partition_of
from bus.kafka import Fetched, LogReader
from bus.subscriber.dead import BAD_EVENT, DeadLetters
from bus.subscriber.decoding import Decoder, UnlearntSchema
from consumers.progress import Progress
from consumers.traffic_view.rules import Mark, check, is_late

log = logging.getLogger(__name__)

LEARNING = 1.0
"""Seconds until the registry is asked again for a schema that is not known."""


class Windows(Protocol):
    """The table, as it is used here."""

    def end_of(self, event: Event) -> float:
        """Return when the window of an event ends, in seconds since 1970."""

    async def put(self, event: Event, place: tuple[int, int]) -> None:
        """Take an observation in, from a partition and offset; return once it is durable."""


class Intake:
    """Takes the records of one topic in.

    Args:
        topic: where the events are.
        contract: what they keep to.
        decoder: makes events of records.
        reader: reads what is missing.
        dead: takes what is refused.
        windows: the view.
        progress: is told.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        topic: str,
        contract: Contract,
        *,
        decoder: Decoder,
        reader: LogReader,
        dead: DeadLetters,
        windows: Windows,
        progress: Progress,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._topic, self._contract, self._decoder = topic, contract, decoder
        self._reader, self._dead, self._windows = reader, dead, windows
        self._progress, self._clock = progress, clock
        self._marks: dict[int, Mark] = {}
        self._before: dict[int, int] = {}
        self._lock = asyncio.Lock()

    async def begin(self, partitions: Iterable[int], known: Mapping[int, Mark]) -> None:
        """Begin with partitions where the state left them; a new one where the log begins.

        Raises:
            BusUnavailable: the engine cannot be reached.
        """
        async with self._lock:
            bounds = await self._reader.bounds(self._topic)
            self._marks = {
                partition: known.get(partition) or Mark(bounds[partition][0], float("-inf"))
                for partition in partitions
            }

    @property
    def positions(self) -> Mapping[int, int]:
        """The offset that follows what is durably in the view, by partition."""
        return {partition: mark.next for partition, mark in self._marks.items()}

    def end(self) -> None:
        """Take nothing in any more, until the next `begin`."""
        self._marks = {}

    async def deliver(self, record: Fetched) -> None:
        """Take in a record that Faust hands over, and before it what is missing."""
        async with self._lock:
            mark = self._marks.get(record.partition)
            if mark is None or record.offset < mark.next:
                return
            try:
                await self._fill(record.partition, mark, record.offset)
                if mark.next <= record.offset:
                    await self._take(record, mark)
            except BusUnavailable as error:
                log.warning("%s: what is missing is taken in later: %s", self._topic, error)

    async def read_on(self, partitions: Iterable[int]) -> Mapping[int, int]:
        """Take in all that partitions hold now, and return the offset that follows, by partition.

        Raises:
            BusUnavailable: the engine cannot be reached.
        """
        bounds = await self._reader.bounds(self._topic)
        following: dict[int, int] = {}
        for partition in partitions:
            async with self._lock:
                if mark := self._marks.get(partition):
                    await self._fill(partition, mark, bounds[partition][1])
                    following[partition] = mark.next
        return following

    async def catch_up(self) -> None:
        """Read what nobody has handed over since the last call."""
        try:
            bounds = await self._reader.bounds(self._topic)
            for partition, (_, end) in bounds.items():
                async with self._lock:
                    mark = self._marks.get(partition)
                    if mark is None:
                        continue
                    if mark.next == self._before.get(partition):
                        await self._fill(partition, mark, end)
                    self._before[partition] = mark.next
        except BusUnavailable as error:
            log.warning("%s: what is missing is taken in later: %s", self._topic, error)

    async def _fill(self, partition: int, mark: Mark, to: int) -> None:
        """Read and take in up to an offset."""
        while mark.next < to:
            try:
                records = await self._reader.read(self._topic, partition, mark.next)
            except PositionLost:
                bounds = await self._reader.bounds(self._topic)
                log.error(
                    "%s-%d: events from %d on were deleted", self._topic, partition, mark.next
                )
                mark.next = bounds[partition][0]
                continue
            for record in records:
                if record.offset < to:
                    await self._take(record, mark)
            if not records or records[-1].offset >= to:
                mark.next = max(mark.next, to)  # nothing but marks of transactions lies before it

    async def _take(self, record: Fetched, mark: Mark) -> None:
        """Take in one record: into the view, or as a dead letter, or as one that came too late."""
        try:
            event = await self._event(record)
            if event.data is not None:
                await self._observe(event, (record.partition, record.offset), mark)
        except UndecodableEvent as error:
            await self._bury(record, error.reason, str(error))
        except (BadEvent, InvalidEvent) as error:
            await self._bury(record, BAD_EVENT, str(error))
        mark.next = record.offset + 1

    async def _observe(self, event: Event, place: tuple[int, int], mark: Mark) -> None:
        data = event.data or {}
        check(data["observed_at"], self._clock())
        if event.key != self._contract.key_of(data):
            raise BadEvent(f'is "{event.key}", which is not that of its data', where="key")
        belongs = partition_of(event.key, self._contract.partitions)
        if place[0] != belongs:
            raise BadEvent(f"lies outside its key's partition, {belongs}", where="key")
        if is_late(self._windows.end_of(event), mark.newest):
            self._progress.left_out([event.id])
            return
        await self._windows.put(event, place)
        mark.newest = max(mark.newest, data["observed_at"].timestamp())
        self._progress.delivered([event.id])

    async def _event(self, record: Fetched) -> Event:
        while True:
            try:
                return self._decoder.event(record)
            except UnlearntSchema as unlearnt:
                try:
                    await self._decoder.learn(unlearnt.schema_id)
                except BusUnavailable as error:
                    # A registry that is down is our own trouble, not the event's.
                    log.warning("waiting for schema %d: %s", unlearnt.schema_id, error)
                    await asyncio.sleep(LEARNING)

    async def _bury(self, record: Fetched, reason: str, detail: str) -> None:
        place = f"{record.topic}-{record.partition} at {record.offset}"
        log.warning("%s: dead letter (%s): %s", place, reason, detail)
        await self._dead.put(record, reason, detail)
