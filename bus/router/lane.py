"""One partition of a shared topic on its way to the feeds: one transaction after the other.

Feeds, dead letters and the position are one commit. What came of a commit that got no clear answer
is asked of the engine: the position stored with it tells. Whoever begins last under the partition's
transactional id is the one who writes, so a router that was stopped in between writes no more.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from bus.errors import BusUnavailable, Fenced, OutcomeUnknown, UndecodableEvent
from bus.kafka import Fetched, Place, Positions, Record, Transactor, header, packed
from bus.letters import LARGEST_LETTER, letters
from bus.pause import Pause
from bus.router.course import Course, OutOfDate, Portion
from bus.router.feeds import refused_topic
from bus.router.routing import Refused, Write
from bus.subscriber.decoding import UnlearntSchema
from bus.subscriber.window import Window

log = logging.getLogger(__name__)

GROUP = "_stadtbus.router"
"""The consumer group that all routers of a bus share."""

AT_ONCE = 500
"""Records that one transaction takes at the most."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0

FENCED_PAUSE = 4.0
"""Seconds after being fenced, in which the group tells who has lost a partition: a heartbeat."""

BATCH_OVERHEAD = 200
"""Bytes of a batch beside its records."""

Committed = Callable[[Place], Awaitable[int | None]]
"""Returns the group's position in a partition; None if there is none."""


class Lane:
    """Routes the records of one partition, in order.

    Args:
        place: the partition.
        position: the offset of the next record to be routed.
        course: what becomes of its records.
        window: the events that were routed last.
        writing: under the partition's transactional id, started.
        committed: asks for the position that is stored.
        tell: is told what was written.
    """

    def __init__(
        self,
        place: Place,
        position: int,
        *,
        course: Course,
        window: Window,
        writing: Transactor,
        committed: Committed,
        tell: Callable[[Portion], None],
    ) -> None:
        self.place, self.position, self.waiting = place, position, 0
        self._course, self._window = course, window
        self._writing, self._committed, self._tell = writing, committed, tell
        self._batches: deque[Sequence[Fetched]] = deque()
        self._arrived, self._stopping = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def put(self, records: Sequence[Fetched]) -> None:
        """Queue records; they follow what was queued before."""
        self._batches.append(records)
        self.waiting += len(records)
        self._arrived.set()

    def check(self) -> None:
        """Raise what ended this lane, if anything did."""
        if self._task.done() and not self._task.cancelled():
            self._task.result()

    async def finish(self, grace: float) -> None:
        """End the transaction at hand, or break it off after so many seconds; then close."""
        self._stopping.set()
        self._arrived.set()
        done, _ = await asyncio.wait([self._task], timeout=grace)
        if not done:
            log.warning("%s-%d: a transaction is broken off after %g s", *self.place, grace)
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._writing.stop()

    async def _run(self) -> None:
        try:
            await self._until_done(partial(self._course.load, self._arrived.set))
            while not self._stopping.is_set():
                if self._batches:
                    records = self._batches.popleft()
                    self._put_back(records[AT_ONCE:])
                    await self._pass_on(records[:AT_ONCE])
                    self.waiting -= len(records[:AT_ONCE])
                elif self._course.is_due:
                    await self._pass_on([])
                else:
                    self._arrived.clear()
                    if not (self._batches or self._stopping.is_set() or self._course.is_due):
                        await self._arrived.wait()
        finally:
            self._course.close()

    def _put_back(self, records: Sequence[Fetched]) -> None:
        if records:
            self._batches.appendleft(records)

    async def _pass_on(self, records: Sequence[Fetched]) -> None:
        """Write what records become, those that nobody has routed yet, and what else is due."""
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            left = [record for record in records if record.offset >= self.position]
            if not left and not self._course.is_due:
                return
            try:
                portion = await self._portion(left)
                if portion is None:
                    return
                await self._write(portion, bool(left))
            except OutOfDate:
                self._course.undo()
                continue
            except Fenced as error:
                # Another router has begun here. If it is the one who has the partition now, this
                # one is told so by the group within this time, and ends.
                log.warning("%s: %s", self, error)
                await self._wait(FENCED_PAUSE)
            except (OutcomeUnknown, BusUnavailable) as error:
                log.warning("%s: not written, or not known whether: %s", self, error)
                await self._wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self._settle(portion)
                return
            self._course.undo()
            await self._until_done(self._begin_anew)

    async def _write(self, portion: Portion, has_records: bool) -> None:
        """Write a portion; nothing if it turns out to be empty."""
        valid_until = await self._course.finish(portion)
        if not (has_records or portion.writes):
            return
        positions = Positions(group=GROUP, offsets={self.place: portion.after})
        await self._writing.write(portion.writes, positions, valid_until=valid_until)

    def _settle(self, portion: Portion) -> None:
        self._course.settle()
        for _, event in portion.events:
            self._window.add(event)
        self.position = portion.after
        self._tell(portion)

    async def _portion(self, records: Sequence[Fetched]) -> Portion | None:
        """Return what is to be written; None if the lane is to end before that is known."""
        portion = Portion(records[-1].offset + 1 if records else self.position)
        portion.began = self.position
        await self._course.begin(portion)
        pause, here = Pause(), set[tuple[str, str]]()
        for record in records:
            await pause()
            try:
                verdict = self._course.take(record)
            except UnlearntSchema as unlearnt:
                refused = await self._learn(unlearnt.schema_id)
                if self._stopping.is_set():
                    return None
                verdict = refused or self._course.take(record)
            if isinstance(verdict, Refused):
                portion.writes.append(_letter(record, verdict))
                portion.refused[verdict.reason] = portion.refused.get(verdict.reason, 0) + 1
                continue
            event = verdict.event
            if event in self._window or (event.source, event.id) in here:
                portion.repeats += 1
                self._course.repeated(record, event)
            else:
                here.add((event.source, event.id))
                self._course.passed(portion, record, verdict)
        return portion

    async def _learn(self, schema_id: int) -> Refused | None:
        """Ask for a schema until there is an answer; return why it is none of the topic's."""
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                await self._course.learn(schema_id)
            except UndecodableEvent as error:
                return Refused(error.reason, str(error))
            except BusUnavailable as error:
                log.warning("%s: waiting for schema %d: %s", self, schema_id, error)
                await self._wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                return None
        return None

    async def _begin_anew(self) -> None:
        """Fence off what was under way, and learn how far it came: ours, or another router's."""
        await self._writing.stop()
        await self._writing.start()
        at = await self._committed(self.place)
        if at is not None:
            self.position = max(self.position, at)
        await self._course.load(self._arrived.set)

    async def _until_done(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something until the bus lets it, or the lane is to end."""
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                return await work()
            except (BusUnavailable, OutcomeUnknown) as error:
                log.warning("%s: cannot begin yet: %s", self, error)
                await self._wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        return None

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def __str__(self) -> str:
        return f"{self.place[0]}-{self.place[1]} at {self.position}"


def _letter(record: Fetched, refused: Refused) -> Write:
    """Return a record as a dead letter, the largest that its topic takes."""
    forms = letters(record, refused.reason, refused.detail, GROUP, datetime.now(UTC))
    chosen = next(forms)
    for smaller in forms:
        if _size(chosen) <= LARGEST_LETTER - BATCH_OVERHEAD:
            break
        chosen = smaller
    return refused_topic(record.topic), record.partition, chosen


def _size(record: Record) -> int:
    """Return the bytes that a record takes in a batch of its own, but for the batch's."""
    return len(packed(record.key, record.value, [header(*one) for one in record.headers]))
