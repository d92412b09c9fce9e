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
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bus.errors import BusUnavailable, Fenced, OutcomeUnknown, UndecodableEvent
from bus.kafka import Fetched, Place, Positions, Record, Transactor, header, packed
from bus.letters import LARGEST_LETTER, letters
from bus.pause import Pause
from bus.router.feeds import refused_topic
from bus.router.routing import Refused, Route, Write
from bus.subscriber.decoding import Decoder, UnlearntSchema
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


@dataclass(slots=True)
class Portion:
    """What a number of records become.

    Args:
        after: the offset that follows the last of them.
        writes: where what goes.
        passed: how many go on.
        repeats: how many were there before.
        refused: how many are refused, by reason.
    """

    after: int
    writes: list[Write] = field(default_factory=list)
    passed: int = 0
    repeats: int = 0
    refused: dict[str, int] = field(default_factory=dict)


class Lane:
    """Routes the records of one partition, in order.

    Args:
        place: the partition.
        position: the offset of the next record to be routed.
        route: what becomes of a record.
        decoder: learns schemas that the route meets.
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
        route: Route,
        decoder: Decoder,
        window: Window,
        writing: Transactor,
        committed: Committed,
        tell: Callable[[Portion], None],
    ) -> None:
        self.place, self.position, self.waiting = place, position, 0
        self._route, self._decoder, self._window = route, decoder, window
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
        while not self._stopping.is_set():
            while self._batches and not self._stopping.is_set():
                records = self._batches.popleft()
                for start in range(0, len(records), AT_ONCE):
                    chunk = records[start : start + AT_ONCE]
                    await self._pass_on(chunk)
                    self.waiting -= len(chunk)
                    if self._stopping.is_set():
                        return
            self._arrived.clear()
            if not self._batches and not self._stopping.is_set():
                await self._arrived.wait()

    async def _pass_on(self, records: Sequence[Fetched]) -> None:
        """Route records; only those that nobody has routed yet."""
        while left := [record for record in records if record.offset >= self.position]:
            portion = await self._portion(left)
            reached = None if portion is None else await self._written(portion)
            if portion is None or reached is None:
                return
            self.position = reached
            if reached == portion.after:  # otherwise others were here, and counted what they did
                self._tell(portion)

    async def _portion(self, records: Sequence[Fetched]) -> Portion | None:
        """Return what records become; None if the lane is to end before that is known."""
        portion, pause = Portion(records[-1].offset + 1), Pause()
        for record in records:
            await pause()
            try:
                verdict = self._route.take(record)
            except UnlearntSchema as unlearnt:
                refused = await self._learn(unlearnt.schema_id)
                if self._stopping.is_set():
                    return None
                verdict = refused or self._route.take(record)
            if isinstance(verdict, Refused):
                portion.writes.append(_letter(record, verdict))
                portion.refused[verdict.reason] = portion.refused.get(verdict.reason, 0) + 1
            elif verdict.event in self._window:
                portion.repeats += 1
            else:
                self._window.add(verdict.event)
                portion.writes += verdict.writes
                portion.passed += 1
        return portion

    async def _learn(self, schema_id: int) -> Refused | None:
        """Ask for a schema until there is an answer; return why it is none of the topic's."""
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                await self._decoder.learn(schema_id)
            except UndecodableEvent as error:
                return Refused(error.reason, str(error))
            except BusUnavailable as error:
                log.warning("%s: waiting for schema %d: %s", self, schema_id, error)
                await self._wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                return None
        return None

    async def _written(self, portion: Portion) -> int | None:
        """Write until it is clear what came of it; return the position that is stored then.

        It is another one than the portion's where others have routed some of these records in the
        meantime, and None if the lane is to end before anything is clear.
        """
        positions = Positions(group=GROUP, offsets={self.place: portion.after})
        pause = FIRST_PAUSE
        while True:
            try:
                await self._writing.write(portion.writes, positions)
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
                return portion.after
            if self._stopping.is_set():
                return None
            at = await self._begun_anew()
            if at is not None and at > self.position:
                return at

    async def _begun_anew(self) -> int | None:
        """Fence off what was under way, and return the position that is stored; None if unknown."""
        try:
            await self._writing.stop()
            await self._writing.start()
            return await self._committed(self.place)
        except (BusUnavailable, OutcomeUnknown) as error:
            log.warning("%s: cannot begin anew yet: %s", self, error)
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
