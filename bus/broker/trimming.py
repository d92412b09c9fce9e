"""What has had its time is deleted: whole rows, and what DeleteRecords leaves in the first one."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bus.broker.compaction.messages import Step
from bus.broker.cutting import Cutting
from bus.broker.retention import Extent, Head, Schedule, Trimmed, outlived
from bus.broker.storage.log import Damaged
from bus.broker.storage.store import Store

_LOOKS = 100  # partitions looked at in one step while nothing is to be deleted
_HEADS = 500  # rows of one partition deleted in one step


class _Outlived(NamedTuple):
    """Rows of a partition that are to go: all before an offset.

    Attributes:
        less: their bytes.
        due: when to look at it again, in milliseconds since 1970; None: not before it grows.
    """

    partition: int
    extent: Extent
    upto: int
    less: int
    due: int | None

    @property
    def start(self) -> int:
        """Where the partition begins then."""
        return max(self.extent.start, self.upto)


class Trimming:
    """The deletion of rows, step by step. Used by the writer thread alone.

    Args:
        store: the database.
        schedule: the partitions, and which is to be looked at next.
        trimmed: told what was deleted, after its commit.
        damaged: told of a partition whose rows are not what was written, and why.
        erased: called after each commit that deleted something.
        overwrite: whether what was deleted must be in no file any more.
        clock: milliseconds since 1970, which records' times are compared with.

    Attributes:
        cutting: the row that is being cut, if one is.
    """

    def __init__(
        self,
        store: Store,
        schedule: Schedule,
        *,
        trimmed: Callable[[Trimmed], None],
        damaged: Callable[[int, str], None],
        erased: Callable[[], None],
        overwrite: bool,
        clock: Callable[[], int],
    ) -> None:
        self._store, self._schedule = store, schedule
        self._trimmed, self._damaged, self._erased = trimmed, damaged, erased
        self._overwrite, self._clock = overwrite, clock
        self.cutting: Cutting | None = None

    def step(self, limit: int) -> int:
        """Delete first rows that have had their time, of about so many bytes; return their bytes.

        Raises:
            sqlite3.Error: nobody knows what is stored.
        """
        now, left = self._clock(), limit
        outlived: list[_Outlived] = []
        for _ in range(_LOOKS):
            partition = self._schedule.take(now) if left > 0 and self.cutting is None else None
            if partition is None:
                break
            found = self._look(partition, now, left)
            if found is not None:
                outlived.append(found)
                left -= found.less
        self._delete(outlived)
        return sum(one.less for one in outlived)

    def _look(self, partition: int, now: int, limit: int) -> "_Outlived | None":
        """Return what of a partition is to go now; or begin to cut its first row."""
        extent = self._schedule.extents[partition]
        looked = 1
        try:
            gone, due = self._outlived(partition, extent, now, looked, limit)
            if gone:
                # As many as a step is likely to delete: looking at rows takes its time, too.
                looked = min(limit // max(gone[0].size, 1) + 2, _HEADS)
                gone, due = self._outlived(partition, extent, now, looked, limit)
            elif self._overwrite and extent.cut < extent.start:
                self._cut(partition, extent)
        except Damaged as error:
            # Nothing of it is deleted any more: what it says of its age may be wrong.
            self._schedule.forget([partition])
            self._damaged(partition, str(error))
            return None
        if not gone:
            self._schedule.look(partition, due)
            return None
        upto, less = gone[-1].next, sum(head.size for head in gone)
        more = len(gone) == looked or extent.start > upto  # the next row may have to be cut
        return _Outlived(partition, extent, upto, less, 0 if more else due)

    def _delete(self, outlived: Sequence["_Outlived"]) -> None:
        """Delete rows of several partitions with one commit."""
        if not outlived:
            return
        try:
            self._store.begin()
            for one in outlived:
                self._store.log.trim(one.partition, one.upto)
                self._store.topics.begin(one.partition, one.start)
                self._store.transactions.forget_aborted(one.partition, one.upto)
                self._store.log.count(one.partition, one.extent.size - one.less, one.extent.end)
            self._store.commit()
        except sqlite3.Error:
            for one in outlived:
                self._schedule.look(one.partition, 0)
            raise
        self._erased()
        for one in outlived:
            extent, start = one.extent, one.start
            self._trimmed(Trimmed(one.partition, start, one.less, start))
            extent.size, extent.start, extent.first = extent.size - one.less, start, 0
            self._schedule.look(one.partition, one.due)

    def _cut(self, partition: int, extent: Extent) -> None:
        """Begin to cut out what a partition's first row has before its start, if it has anything.

        Rows go as a whole, but DeleteRecords may have it begin in the middle of one: what lies
        before is to be in no file either.
        """
        extent.cut = extent.start
        row = self._store.log.across(partition, extent.start)
        if row is not None:
            self.cutting = Cutting.of(partition, extent.start, row)

    def cut_on(self, cutting: Cutting) -> None:
        """Go on cutting a row.

        Raises:
            sqlite3.Error: nobody knows what is stored.
        """
        cutting.go_on()
        if not cutting.done:
            return
        self.cutting = None
        extent = self._schedule.extents.get(cutting.partition)
        if extent is None:  # dropped meanwhile
            return
        if cutting.step is not None and cutting.start == extent.start:
            self._behead(cutting.partition, extent, cutting.step)
        self._schedule.look(cutting.partition, 0)

    def _behead(self, partition: int, extent: Extent, step: Step) -> None:
        try:
            self._store.begin()
            less = self._store.log.replace(partition, step)
            self._store.log.count(partition, extent.size - (less or 0), extent.end)
            self._store.commit()
        except sqlite3.Error:
            extent.cut = 0
            self._schedule.look(partition, 0)
            raise
        if less is None:  # other rows stand there by now
            extent.cut = 0
            return
        extent.size -= less
        self._erased()
        self._trimmed(Trimmed(partition, extent.start, less, step.next))

    def _outlived(
        self, partition: int, extent: Extent, now: int, count: int, limit: int
    ) -> tuple[list[Head], int | None]:
        """Return which of a partition's first rows have had their time, and when the next will."""
        heads = self._store.log.heads(partition, count)
        extent.first = heads[0].size if heads else 0
        return outlived(
            heads,
            start=extent.start,
            size=extent.size,
            policy=extent.policy,
            now=now,
            limit=limit,
        )
