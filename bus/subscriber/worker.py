"""One partition as a subscriber handles it: in order, each event until it is settled."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from bus.errors import BusUnavailable, Conflict, UndecodableEvent
from bus.event import Event
from bus.kafka import Fetched, Place
from bus.subscriber.dead import BAD_EVENT, DeadLetters
from bus.subscriber.decoding import Decoder, Elsewhere, Redrive, UnlearntSchema
from bus.subscriber.retry import DeadLetter, Pause, RetryAfter, RetryPolicy
from bus.subscriber.window import Window

log = logging.getLogger(__name__)

Apply = Callable[[Sequence[Event], int, int], Awaitable[None]]
"""Handles events and moves the position from one offset to another."""

Relocate = Callable[[], Awaitable[int]]
"""Returns where the position really is."""

Taken = tuple[Event, Fetched]
"""An event with the record that carried it."""

CHUNK = 500
"""Records that are decoded before anything else gets a turn."""


class Stopped(Exception):
    """The partition is to be given away; what is not settled is left to its next reader."""


class Worker:
    """Handles the records of one partition, one after the other.

    Args:
        place: the partition.
        position: the offset of the next record to be handled.
        decoder: makes events of records.
        apply: handles events; raises BadEvent where the event is to blame.
        relocate: returns the true position after `Conflict`.
        policy: how patient to be with the handler.
        dead: takes what is refused.
        largest: how many events one call of the handler gets at the most.
    """

    def __init__(
        self,
        place: Place,
        position: int,
        *,
        decoder: Decoder | Redrive,
        apply: Apply,
        relocate: Relocate,
        policy: RetryPolicy,
        dead: DeadLetters,
        largest: int,
    ) -> None:
        self.place, self.position = place, position
        self.committed: int | None = None
        self.waiting = 0
        self._decoder, self._apply, self._relocate = decoder, apply, relocate
        self._policy, self._dead, self._largest = policy, dead, largest
        self._window = Window()
        self._batches: deque[Sequence[Fetched]] = deque()
        self._arrived = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def put(self, records: Sequence[Fetched]) -> None:
        """Queue records; they follow what was queued before."""
        self._batches.append(records)
        self.waiting += len(records)
        self._arrived.set()

    def check(self) -> None:
        """Raise what ended this worker, if anything did."""
        if self._task.done() and not self._task.cancelled():
            self._task.result()

    def halt(self) -> None:
        """Let what is in the handler's hands be the last; takes effect at once."""
        self._stopping.set()
        self._arrived.set()

    async def finish(self, grace: float) -> None:
        """Stop after what the handler has in hand, or break it off after so many seconds."""
        self.halt()
        done, _ = await asyncio.wait([self._task], timeout=grace)
        if not done:
            log.warning("%s: a handler takes longer than %s s and is broken off", self, grace)
            self._task.cancel()
            await asyncio.wait([self._task])

    def __str__(self) -> str:
        return f"{self.place[0]}-{self.place[1]} at {self.position}"

    async def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                while self._batches:
                    records = self._batches.popleft()
                    for start in range(0, len(records), CHUNK):
                        chunk = records[start : start + CHUNK]
                        await self._handle(chunk)
                        self.waiting -= len(chunk)
                        await asyncio.sleep(0)
                self._arrived.clear()
                if not self._stopping.is_set():
                    await self._arrived.wait()
        except Stopped:
            return

    async def _handle(self, records: Sequence[Fetched]) -> None:
        """Handle records in order: events as far as they are good, then what is not."""
        taken: list[Taken] = []
        decode = self._decoder.event
        for record in records:
            if self._stopping.is_set():
                raise Stopped
            if record.offset < self.position:
                continue
            try:
                try:
                    event = decode(record)
                except UnlearntSchema as unlearnt:
                    await self._learn(unlearnt.schema_id)
                    event = decode(record)
            except Elsewhere:
                continue
            except UndecodableEvent as error:
                await self._deliver(taken, record.offset)
                taken = []
                await self._bury(record, error.reason, str(error))
                continue
            if event not in self._window:
                self._window.add(event)
                taken.append((event, record))
                if len(taken) >= self._largest:
                    await self._deliver(taken, record.offset + 1)
                    taken = []
        await self._deliver(taken, records[-1].offset + 1)

    async def _learn(self, schema_id: int) -> None:
        pause = self._policy.first
        while True:
            try:
                return await self._decoder.learn(schema_id)
            except BusUnavailable as error:
                # A registry that is down is our own trouble, not the event's.
                log.warning("%s: waiting for schema %s: %s", self, schema_id, error)
                await self._wait(pause)
                pause = min(pause * 2, self._policy.longest)

    async def _deliver(self, taken: Sequence[Taken], after: int) -> None:
        """Have events handled, and move the position to an offset behind them."""
        attempt = 1
        while after > self.position:
            if taken and self._stopping.is_set():
                raise Stopped
            try:
                await self._apply([event for event, _ in taken], self.position, after)
            except Conflict as error:
                await self._move(error)
                taken = [pair for pair in taken if pair[1].offset >= self.position]
            except Exception as error:  # a handler may raise anything
                match self._policy.decide(error, attempt):
                    case RetryAfter(seconds):
                        log.warning("%s: attempt %d failed: %r", self, attempt, error)
                        attempt += 1
                        await self._wait(seconds)
                    case Pause(seconds, reason):
                        log.error("%s: pauses for %s s: %s", self, seconds, reason)
                        attempt = 1
                        await self._wait(seconds)
                    case DeadLetter(detail):
                        taken = await self._refuse(taken, detail)
            else:
                self.position = after

    async def _refuse(self, taken: Sequence[Taken], detail: str) -> Sequence[Taken]:
        """Set aside an event that its handler refused; find it first if it was one of several."""
        if len(taken) > 1:
            for pair in taken:
                await self._deliver([pair], pair[1].offset + 1)
        else:
            for event, record in taken:
                # It may be sent again once it is put right, and is no repeat then.
                self._window.discard(event)
                await self._bury(record, BAD_EVENT, detail)
        return ()

    async def _bury(self, record: Fetched, reason: str, detail: str) -> None:
        log.warning("%s: dead letter (%s): %s", self, reason, detail)
        await self._dead.put(record, reason, detail)
        await self._deliver((), record.offset + 1)

    async def _move(self, conflict: Conflict) -> None:
        """Go on where another member left off, which was taken for this one's successor."""
        position = await self._relocate()
        if position <= self.position:
            raise conflict
        log.warning("%s: another member is at %d already", self, position)
        self.position = position

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        if self._stopping.is_set():
            raise Stopped
