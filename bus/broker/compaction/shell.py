"""Compaction in a running broker: which partition is due, and one after the other."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from bus.broker.compaction.dirt import Dirt, Terms
from bus.broker.compaction.messages import Done, Failed, Order, Step
from bus.broker.compaction.worker import Worker, WorkerEnded
from bus.broker.housekeeping import Housekeeping, Replacement
from bus.broker.partition import Partition
from bus.broker.retention import Head
from bus.broker.stage import Row
from bus.broker.storage.database import now_ms
from bus.broker.storage.log import Damaged
from bus.broker.storage.reader import Reader

KEYS = 400_000  # taken at once: about 70 MB in the process that compacts
_PAUSE = 0.1  # seconds between two looks at what was written
_AGAIN_MS = 2_000  # after a run that could not get on, an open transaction for example
_FAILED_MS = 60_000  # after one that failed
_IDLE = 30.0  # seconds without work, then the process ends
_HEADS = 1000

log = logging.getLogger(__name__)


class Surroundings(Protocol):
    """What compaction needs of the broker."""

    async def query(self, partition: Partition, run: Callable[[Reader], Any]) -> Any:
        """Ask the database about a partition."""

    def tell(self, run: Callable[[Housekeeping], None]) -> None:
        """Have housekeeping take note of something."""

    def replaced(self, partition: Partition, upto: int, less: int) -> None:
        """Take note that rows before an offset are others now, and by how many bytes smaller."""

    def damaged(self, partition: Partition, reason: str) -> None:
        """Put a partition out of service."""


class Compaction:
    """Compacts partitions as they are due.

    Args:
        path: the database.
        broker: what it works for.
        clock: milliseconds since 1970, which records' times are compared with.
        keys: so many keys are taken at once.
    """

    def __init__(
        self,
        path: Path,
        broker: Surroundings,
        *,
        clock: Callable[[], int] = now_ms,
        keys: int = KEYS,
    ) -> None:
        self._broker, self._clock, self._keys = broker, clock, keys
        self._worker = Worker(path)
        self._partitions: dict[int, tuple[Partition, Terms]] = {}
        self._dirt: dict[int, Dirt] = {}
        self._due: dict[int, int] = {}
        self._touched: set[int] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look for what is due."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop at once; a step that is under way is done by the writer, or not."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._worker.end()

    def govern(self, partition: Partition, terms: Terms | None) -> None:
        """Have a partition compacted by terms, or not at all if there are none."""
        number = partition.number
        known = self._partitions.get(number)
        if terms is None:
            self.forget(partition)
        elif known is None or known[1] != terms:
            self._partitions[number] = (partition, terms)
            self._dirt.pop(number, None)
            self._touch(number)

    def forget(self, partition: Partition) -> None:
        """Compact a partition no more."""
        self._partitions.pop(partition.number, None)
        self._dirt.pop(partition.number, None)
        self._due.pop(partition.number, None)

    def wrote(self, row: Row) -> None:
        """Take note of a committed row."""
        if row.partition not in self._partitions:
            return
        dirt = self._dirt.get(row.partition)
        if dirt is not None and dirt.seen == row.base:
            dirt.add(Head(row.base, row.next, row.newest, row.size))
        self._touch(row.partition)

    def _touch(self, number: int) -> None:
        self._touched.add(number)
        self._wake.set()

    async def _run(self) -> None:
        while True:
            try:
                await self._turn()
            except Exception:  # of one partition; the others are to be compacted all the same
                log.exception("compaction failed")
                await self._worker.end()
            await asyncio.sleep(_PAUSE)

    async def _turn(self) -> None:
        """Compact what is due, or else wait until something may be."""
        self._wake.clear()
        for number in [self._touched.pop() for _ in range(len(self._touched))]:
            await self._look(number)
        number, due = min(self._due.items(), key=lambda item: item[1], default=(-1, None))
        if due is not None and due <= self._clock():
            self._due[number] = self._clock() + _FAILED_MS  # unless it says better
            await self._compact(number)
        else:
            await self._wait(None if due is None else (due - self._clock()) / 1000)

    async def _wait(self, seconds: float | None) -> None:
        """Wait until something was written, or for so long; the process ends meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_IDLE if seconds is None else min(seconds, _IDLE)):
                await self._wake.wait()
            return
        if seconds is None or seconds > _IDLE:
            await self._worker.end()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if seconds is None else seconds - _IDLE):
                    await self._wake.wait()

    async def _look(self, number: int) -> None:
        """Find out when a partition is due."""
        if number not in self._partitions:
            return
        partition, terms = self._partitions[number]
        try:
            dirt = await self._seen(partition, terms)
        except Damaged:
            self.forget(partition)
            return
        due = dirt.due(partition.size)
        if due is None:
            self._due.pop(number, None)
        elif number in self._partitions:
            self._due[number] = due

    async def _seen(self, partition: Partition, terms: Terms) -> Dirt:
        """Return what is known of a partition, after a look at the rows that are new."""
        number = partition.number
        dirt = self._dirt.get(number)
        if dirt is None:
            cleaned = await self._broker.query(partition, lambda r: r.cleaned(number))
            dirt = self._dirt[number] = Dirt.since(terms, max(cleaned, partition.start))
        while dirt.seen < partition.end:
            unseen = partial(_heads, number, dirt.seen)
            heads = await self._broker.query(partition, unseen)
            for head in heads:
                if head.base >= dirt.seen:  # others were added meanwhile
                    dirt.add(head)
            if not heads:
                dirt.seen = partition.end
        return dirt

    async def _compact(self, number: int) -> None:
        partition, terms = self._partitions[number]
        dirt = self._dirt[number]
        now = self._clock()
        order = Order(
            partition=number,
            start=partition.start,
            cleaned=max(dirt.cleaned, partition.start),
            end=dirt.base,
            now=now,
            least=terms.least,
            delete_retention=terms.delete_retention,
            keys=self._keys,
            clean=partition.size - dirt.active - dirt.closed,
            ratio=0.0 if dirt.waited(now) else terms.ratio,
        )
        not_before = 0
        try:
            await self._worker.order(order)
            done = await self._steps(partition)
            if done is None:
                not_before = now + _FAILED_MS
            elif done.cleaned <= order.cleaned:
                not_before = max(now + _AGAIN_MS, done.again)
            else:
                not_before = done.again
        except WorkerEnded as error:
            log.warning("compaction is tried again: %s", error)
            await self._worker.end()
            not_before = now + _AGAIN_MS
        except OSError as error:
            log.error("compaction failed: %s", error)
            await self._worker.end()  # or the rest of its answers were taken for those of the next
            not_before = now + _AGAIN_MS
        self._due.pop(number, None)
        if number in self._partitions:
            self._dirt.pop(number, None)
            await self._look(number)
            if number in self._dirt:
                self._dirt[number].not_before = not_before
                self._touch(number)

    async def _steps(self, partition: Partition) -> Done | None:
        """Put in place what the process answers; None if it could not be done to the end."""
        while True:
            answer = await self._worker.answer()
            if isinstance(answer, Done):
                await self._put(partition, None, answer.cleaned)
                return answer
            if isinstance(answer, Failed):
                log.error("partition %s is not compacted: %s", partition.number, answer.reason)
                if answer.damaged:
                    self._broker.damaged(partition, answer.reason)
                    self.forget(partition)
                return None
            less = await self._put(partition, answer, None)
            if less is None:  # other rows stand there by now
                raise WorkerEnded("what it has read is not there any more")
            self._broker.replaced(partition, answer.next, less)

    def _put(
        self, partition: Partition, step: Step | None, cleaned: int | None
    ) -> Awaitable[int | None]:
        loop = asyncio.get_running_loop()
        settled: asyncio.Future[int | None] = loop.create_future()

        def settle(less: int | None, error: Exception | None) -> None:
            loop.call_soon_threadsafe(_settle, settled, less, error)

        work = Replacement(partition.number, settle, step, cleaned)
        self._broker.tell(lambda keeping: keeping.add(work))
        return settled


def _heads(number: int, offset: int, reader: Reader) -> list[Head]:
    return reader.heads(number, _HEADS, offset)


def _settle(future: asyncio.Future[int | None], less: int | None, error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(OSError(str(error)))
    else:
        future.set_result(less)
