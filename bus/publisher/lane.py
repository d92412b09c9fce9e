"""One partition as a publisher writes it: in order, counted, and again where nobody answered."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from bus.errors import BusError, BusUnavailable, EventTooLarge, OutcomeUnknown
from bus.kafka import Producer, sized

log = logging.getLogger(__name__)

BATCH_BYTES = 500_000
"""Bytes of events in one batch: large enough that a round trip costs little per event."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0

_SEQUENCE = sized(b"stadtbus-seq")


class _Waiting(NamedTuple):
    events: Sequence[bytes]
    answer: "asyncio.Future[int]"


class Lane:
    """Writes one partition.

    Args:
        producer: writes batches.
        topic: the contract's topic.
        partition: which partition of it.
        incarnation: the publisher's, for the counter.
        deadline: seconds after which a caller is told that an event is not through.
    """

    def __init__(
        self,
        producer: Producer,
        topic: str,
        partition: int,
        incarnation: str,
        deadline: float,
    ) -> None:
        self._producer, self._topic, self._partition = producer, topic, partition
        self._incarnation, self._deadline = incarnation.encode(), deadline
        self._count = 0
        self._waiting: deque[_Waiting] = deque()
        self._taken: Sequence[_Waiting] = ()
        self._unsettled: Sequence[bytes] | None = None
        self._task: asyncio.Task[None] | None = None

    def put(self, events: Sequence[bytes]) -> "asyncio.Future[int]":
        """Queue events, to be one batch; the future gives the first one's offset, or -1."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(events, answer))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send_all())
        return answer

    @property
    def unsent(self) -> int:
        """Events that are queued, under way, or without an answer."""
        there = (*list(self._waiting), *self._taken)
        return sum(len(part.events) for part in there) + len(self._unsettled or ())

    async def flush(self) -> None:
        """Wait until nothing is queued any more."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _send_all(self) -> None:
        while self._waiting:
            taken = self._taken = self._take()
            try:
                base = await self._send([event for part in taken for event in part.events])
            except Exception as error:  # whatever it is, callers wait for an answer
                if not isinstance(error, BusError):
                    log.exception("%s-%d: events were not sent", self._topic, self._partition)
                for part in taken:
                    if not part.answer.done():
                        part.answer.set_exception(error)
            except BaseException:
                for part in (*taken, *self._waiting):
                    part.answer.cancel()
                self._waiting.clear()
                raise
            else:
                for part in taken:
                    if not part.answer.done():
                        part.answer.set_result(base)
                    base += len(part.events) if base >= 0 else 0
            finally:
                self._taken = ()

    def _take(self) -> list[_Waiting]:
        """Take what is queued, as far as it fits into one batch."""
        taken: list[_Waiting] = []
        size = 0
        while self._waiting:
            size += sum(map(len, self._waiting[0].events))
            if taken and size > BATCH_BYTES:
                break
            taken.append(self._waiting.popleft())
        return taken

    async def _send(self, events: Sequence[bytes]) -> int:
        deadline = asyncio.get_running_loop().time() + self._deadline
        if self._unsettled is not None:
            await self._settle(self._unsettled, deadline)
        before = self._count
        records = self._records(events)
        try:
            return await self._append(records, deadline)
        except EventTooLarge:
            self._count = before
            if len(events) == 1:
                raise
        except OutcomeUnknown:
            self._unsettled = records
            raise
        except BusError:
            # Nothing was written, so the numbers are given to whatever comes next.
            self._count = before
            raise
        half = len(events) // 2
        await self._send(events[:half])
        await self._send(events[half:])
        return -1

    async def _settle(self, records: Sequence[bytes], deadline: float) -> None:
        """Send again what nobody acknowledged, before anything later goes out."""
        try:
            await self._append(records, deadline)
        except BusUnavailable as error:
            raise BusUnavailable(
                f"events sent before are still without an answer, so nothing was sent: {error}",
                where=f"{self._topic}-{self._partition}",
            ) from error
        except BusError as error:
            log.warning("events without an answer were refused when sent again: %s", error)
        self._unsettled = None

    async def _append(self, records: Sequence[bytes], deadline: float) -> int:
        """Write a batch, and try again until the deadline wherever that can help."""
        clock = asyncio.get_running_loop().time
        pause, unknown = FIRST_PAUSE, None
        while True:
            try:
                return await self._producer.append(
                    self._topic, self._partition, records, timeout=max(deadline - clock(), 0.001)
                )
            except BusUnavailable as error:
                if isinstance(error, OutcomeUnknown):
                    unknown = error
                if clock() + pause >= deadline:
                    if unknown is not None:
                        raise unknown from error
                    raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _records(self, events: Sequence[bytes]) -> list[bytes]:
        """Return events with their counter, their last header."""
        first, prefix = self._count + 1, self._incarnation
        self._count += len(events)
        return [
            event + _SEQUENCE + sized(b"%s/%d" % (prefix, number))
            for number, event in enumerate(events, first)
        ]
