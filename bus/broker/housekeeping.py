"""What the writer does between rounds: delete what has had its time, give the space back.

Each step is a transaction of its own and short, so that it holds up no round for long. While nobody
writes one step follows the other. While somebody does they take a fifth of the time, whatever the
disk makes of them, and as much as it takes to delete half as much again as is written. Pages that
are free inside the database are used before the file grows; they are given back to the file system
where they are many, or where it needs them.
"""

import logging
import shutil
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bus.broker.compaction.messages import Step
from bus.broker.retention import Extent, Head, Policy, Schedule, Trimmed
from bus.broker.stage import Row
from bus.broker.storage.database import PAGE_BYTES, now_ms, passing
from bus.broker.storage.store import Store
from bus.broker.trimming import Trimming

PURGE_BYTES = 2**18
MOST_BYTES = 2**19  # deleted by one step, where as much was written since the last
GAIN = 1.5  # bytes that are deleted or given back for each that is written, so that it gets ahead
MOST_OWED = 16 * MOST_BYTES  # that is caught up with
LEAST = 2**16  # bytes that a step counts for, as each has its sync
VACUUM_PAGES = 16
MOST_FREE = 0.2  # of the file's pages, before they are given back
QUIET = 0.02  # seconds without a round, then nobody writes; and at least between two steps
STEP_EVERY = 0.05  # seconds at most between two steps, so that it gets on while there is produce
_REST = 4  # times as long as a step took it rests, while somebody writes
LONGEST = 0.005  # seconds of steps between two rounds, or one step: all who write wait for it
TRY_AGAIN = 5.0  # seconds, after a step that failed or met a reader
FOLD_AGAIN = 1.0  # seconds, where a reader was in the way
FOLD_AFTER = 30.0  # seconds, so that what was deleted is in no file within a minute
COUNT_AFTER = 64 * 2**20  # bytes written to a partition, then its size is kept
_ROW = 4096  # bytes that a row counts for beside its batches, as opening looks at each

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Replacement:
    """A step of compaction, as the process that compacts has prepared it.

    Attributes:
        step: None if it is only to be kept up to where the partition is compacted.
        cleaned: up to where it is; None if it is not there yet.
        settled: told by how many bytes the partition is smaller; None if other rows stand there by
            now; or what went wrong.
    """

    partition: int
    settled: Callable[[int | None, Exception | None], None]
    step: Step | None = None
    cleaned: int | None = None


class Housekeeping:
    """The steps that are due. Used by the writer thread alone.

    Args:
        store: the database.
        min_free_bytes: space below which nothing is appended.
        trimmed: told what was deleted, after its commit.
        damaged: told of a partition whose rows are not what was written, and why.
        overwrite: whether what was deleted must be in no file any more, which its write-ahead log
            is told by being cut off.
        clock: milliseconds since 1970, which records' times are compared with.
    """

    def __init__(
        self,
        store: Store,
        min_free_bytes: int,
        *,
        trimmed: Callable[[Trimmed], None] = lambda _: None,
        damaged: Callable[[int, str], None] = lambda _, __: None,
        overwrite: bool = True,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._store, self._min_free = store, min_free_bytes
        self._overwrite, self._clock = overwrite, clock
        self._purging = self._shrinking = True
        self._not_before = 0.0  # of the monotonic clock
        self._wrote_at = self._rested_at = 0.0  # when there was a round, when the next step may be
        self._vacuumed = False
        self._fold_at: float | None = None  # of the monotonic clock, if something was deleted
        self._erase()  # by whoever was killed before the write-ahead log was cut off
        self._owed = 0  # bytes to delete or give back, for those that were written meanwhile
        self._schedule = Schedule()
        self._trimming = Trimming(
            store,
            self._schedule,
            trimmed=trimmed,
            damaged=damaged,
            erased=self._erase,
            overwrite=overwrite,
            clock=clock,
        )
        self._grown: dict[int, int] = {}
        self._count: set[int] = set()
        self._work: deque[Replacement] = deque()

    def wake(self) -> None:
        """Take note that there may be something to do."""
        self._purging = self._shrinking = True

    def know(self, extents: Iterable[tuple[int, Extent]]) -> None:
        """Take partitions as they are stored."""
        self._schedule.extents.update(extents)

    def govern(self, partitions: Iterable[int], policy: Policy) -> None:
        """Have the rows of partitions kept as a policy says."""
        for partition in partitions:
            self._schedule.govern(partition, policy)

    def leave(self, partition: int) -> None:
        """Delete nothing more of a partition, as it is damaged."""
        self._schedule.forget([partition])

    def forget(self, partitions: Iterable[int]) -> None:
        """Take note that partitions were dropped."""
        self._schedule.forget(list(partitions))
        self._purging = self._shrinking = True

    def begins(self, partition: int, start: int) -> None:
        """Take note that a partition's first offset was moved, so that rows may lie below it."""
        self._schedule.begins(partition, start)

    def wrote(self, rows: Iterable[Row]) -> None:
        """Take note of the rows of a round."""
        for row in rows:
            self._owed = min(self._owed + int(GAIN * row.size), MOST_OWED)
            self._schedule.wrote(row.partition, Head(row.base, row.next, row.newest, row.size))
            grown = self._grown.get(row.partition, 0) + row.size + _ROW
            self._grown[row.partition] = grown
            if grown >= COUNT_AFTER:
                self._count.add(row.partition)

    def add(self, work: Replacement) -> None:
        """Queue a step of compaction."""
        self._work.append(work)

    def has_space(self) -> bool:
        """Say whether there is space to append: on the disk, or free in the database."""
        missing = self._min_free - shutil.disk_usage(self._store.path.parent).free
        if missing <= 0:
            return True
        self._shrinking = True
        return self._store.pages.free_bytes() >= missing

    def wait(self) -> float | None:
        """Return the seconds until the next step if there is nothing else to do; None: no step."""
        due_in = self._due_in()
        if due_in is None:
            return None
        free_at = min(self._wrote_at + QUIET, self._rested_at)
        return max(due_in, free_at - time.monotonic())

    def _due_in(self) -> float | None:
        """Return the seconds until there is something to do; None if that is not foreseeable."""
        now = time.monotonic()
        waits = []
        if self._purging or self._shrinking or self._count or self._work or self._trimming.cutting:
            waits.append(0.0)
        if (due := self._schedule.next_due()) is not None:
            waits.append(max((due - self._clock()) / 1000, 0.0))
        if self._fold_at is not None:
            waits.append(max(self._fold_at - now, 0.0))
        return max(min(waits), self._not_before - now, 0.0) if waits else None

    def step(self, *, idle: bool) -> None:
        """Do one step, if it is time; several where more was written than one step deletes.

        Args:
            idle: whether nobody waits for a round.

        Raises:
            sqlite3.Error: nobody knows what is stored.
        """
        started = time.monotonic()
        if not idle:
            self._wrote_at = started
        if self._due_in() != 0.0:
            self._owed = 0
            return
        if self.wait() != 0.0 and self._owed < MOST_BYTES:
            return
        try:
            while self._due_in() == 0.0:
                self._owed = max(0, self._owed - max(self._one(), LEAST))
                if self._owed < MOST_BYTES or time.monotonic() - started > LONGEST:
                    break
            ended = time.monotonic()
            self._rested_at = ended + min(max(_REST * (ended - started), QUIET), STEP_EVERY)
        except sqlite3.Error as error:
            if not passing(error):
                raise
            log.error("deleting what has had its time failed: %s", error)
            self._store.rollback()
            self._not_before = started + TRY_AGAIN

    def _one(self) -> int:
        """Do a step; return about how many bytes were deleted or given back."""
        if self._fold_at is not None and time.monotonic() >= self._fold_at:
            self._fold()
        elif self._work:
            self._replace(self._work.popleft())
            return PURGE_BYTES
        elif self._trimming.cutting is not None:
            self._trimming.cut_on(self._trimming.cutting)
        elif self._count:
            self._keep_sizes()
        elif (due := self._schedule.next_due()) is not None and due <= self._clock():
            return self._trimming.step(self._limit())
        elif self._purging:
            self._purging = self._purge()
            return self._limit()
        elif self._shrinking:
            self._shrinking = self._shrink()
            return VACUUM_PAGES * PAGE_BYTES
        return 0

    def _limit(self) -> int:
        """Return the bytes that a step deletes: more of them where much is written."""
        return min(max(self._owed, PURGE_BYTES), MOST_BYTES)

    def _keep_sizes(self) -> None:
        self._store.begin()
        for partition in self._count:
            extent = self._schedule.extents.get(partition)
            if extent is not None:
                self._store.log.count(partition, extent.size, extent.end)
            self._grown.pop(partition, None)
        self._store.commit()
        self._count.clear()

    def _replace(self, work: Replacement) -> None:
        """Put a row in the place of others that it was made of."""
        extent = self._schedule.extents.get(work.partition)
        if extent is None:  # dropped meanwhile
            work.settled(None, None)
            return
        less: int | None = 0
        try:
            self._store.begin()
            if work.step is not None:
                less = self._store.log.replace(work.partition, work.step)
                self._store.log.count(work.partition, extent.size - (less or 0), extent.end)
                if less is not None:
                    self._store.transactions.unmark(work.partition, work.step.unmarked)
            if work.cleaned is not None:
                self._store.log.clean(work.partition, work.cleaned)
            self._store.commit()
        except sqlite3.Error as error:
            work.settled(None, error)
            raise
        if work.step is not None and less is not None:
            extent.size -= less
            self._schedule.look(work.partition, 0)
            self._erase()
        work.settled(less, None)

    def _purge(self) -> bool:
        self._store.begin()
        more = self._store.log.purge(self._limit())
        self._store.commit()
        if more:
            self._erase()
        return more

    def _erase(self) -> None:
        """Take note that something was deleted, or may have been."""
        self._shrinking = True
        if self._overwrite and self._fold_at is None:
            self._fold_at = time.monotonic() + FOLD_AFTER

    def _fold(self) -> None:
        """Cut off the write-ahead log, which holds pages as they were before they were deleted."""
        self._fold_at = None if self._store.pages.fold() else time.monotonic() + FOLD_AGAIN

    def _shrink(self) -> bool:
        """Give back some pages, or with the last of them the write-ahead log's space, too."""
        free = self._store.pages.free()
        many = free > max(MOST_FREE * self._store.pages.count(), VACUUM_PAGES)
        if free and (many or self._scarce()) and self._store.pages.vacuum(VACUUM_PAGES):
            self._vacuumed = True
            return True
        if self._vacuumed and not self._store.pages.fold():
            self._not_before = time.monotonic() + TRY_AGAIN
            return True
        self._vacuumed = False
        return False

    def _scarce(self) -> bool:
        return shutil.disk_usage(self._store.path.parent).free < self._min_free
