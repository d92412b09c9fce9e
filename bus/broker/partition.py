"""One partition as the event loop sees it: what is committed, its newest batches, who waits."""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bus.broker.batch import cut
from bus.broker.stage import Row

_ROW_OVERHEAD = 300  # bytes of Python objects around a cached row, so that tiny rows count too


class Read(NamedTuple):
    """Whole batches of a partition.

    Attributes:
        records: how many records from the wanted offset on.
    """

    batches: bytes
    records: int


NOTHING = Read(b"", 0)

_NOTHING_CACHED: tuple[list[int], list[bytes], list[int]] = ([], [], [])
"""Shared, and never changed: lists of their own would make garbage collection take longer, where
most of many partitions are idle."""


class Waiter:
    """A fetch that waits for so many more bytes in any of its partitions.

    Args:
        wanted: bytes.
        committed: whether it reads up to the last stable offset alone.
    """

    def __init__(self, wanted: int, *, committed: bool = False) -> None:
        self.wanted, self.committed = wanted, committed
        self.ready = asyncio.Event()

    def arrived(self, size: int) -> None:
        """Count bytes that were committed."""
        self.wanted -= size
        if self.wanted <= 0:
            self.ready.set()


class Partition:
    """What is committed of a partition, and its newest rows in memory.

    Attributes:
        number: its number in the database, never given again.
        start: the first offset that is kept.
        end: the offset after the last committed record: the high watermark.
        size: the bytes of its batches.
        damage: why it is out of service; empty if it is not.
        opened: where open transactions began, by producer.
        aborted: the offset of the last mark that aborted something; -1 if there is none.
    """

    def __init__(self, number: int, start: int, end: int, size: int = 0) -> None:
        self.number, self.start, self.end, self.size = number, start, end, size
        self.damage = ""
        self.opened: dict[int, int] = {}
        self.aborted = -1
        self.waiters: set[Waiter] = set()
        self._bases, self._rows, self._ends = _NOTHING_CACHED
        self._head = 0  # rows before it were evicted

    @property
    def stable(self) -> int:
        """The last stable offset: where the oldest open transaction began; the end without one."""
        if not self.opened:
            return self.end
        return max(self.start, min(self.opened.values()))

    def turn(self, began: Mapping[int, int | None]) -> bool:
        """Take note of producers whose transaction began, or ended (None); true if one ended."""
        ended = False
        for producer, offset in began.items():
            # Of one that was open before, there is only news if that has ended.
            ended = self.opened.pop(producer, None) is not None or ended
            if offset is not None:
                self.opened[producer] = offset
        return ended

    def settle(self) -> None:
        """Wake who waits for committed records, because transactions have ended."""
        for waiter in self.waiters:
            if waiter.committed:
                waiter.ready.set()

    @property
    def cached_from(self) -> int:
        """The first offset in memory; the end if there is none."""
        return self._bases[self._head] if self._head < len(self._bases) else self.end

    def extend(self, row: Row) -> None:
        """Take a committed row and wake who waits for it."""
        if self._bases is _NOTHING_CACHED[0]:
            self._bases, self._rows, self._ends = [], [], []
        self._bases.append(row.base)
        self._rows.append(row.batches)
        self._ends.append(row.next)
        self.end = row.next
        self.size += row.size
        for waiter in self.waiters:
            if not waiter.committed or row.base < self.stable:
                waiter.arrived(row.size)

    def begin(self, start: int) -> None:
        """Take note that what was before an offset is gone, and wake who may wait for it."""
        if start > self.start:
            self.start = start
            self.forget()

    def outdated(self, upto: int) -> bool:
        """Say whether the oldest row in memory lies wholly before an offset."""
        return self._head < len(self._ends) and self._ends[self._head] <= upto

    def evict(self) -> int:
        """Drop the oldest row from memory and return its bytes."""
        size = len(self._rows[self._head])
        self._rows[self._head] = b""
        self._head += 1
        if self._head > 1000 and self._head * 2 > len(self._rows):
            del self._bases[: self._head], self._rows[: self._head], self._ends[: self._head]
            self._head = 0
        return size

    def forget(self) -> None:
        """Wake everybody, because the partition is gone or damaged."""
        for waiter in self.waiters:
            waiter.ready.set()

    def read(self, offset: int, limit: int, *, at_least_one: bool, end: int | None = None) -> Read:
        """Return batches from memory, from the one with the offset on.

        Args:
            offset: from `cached_from` to before `end`.
            limit: bytes.
            end: the offset where a batch begins that is not to be read any more.
            at_least_one: whether the first batch comes even if it is above the limit.
        """
        index = bisect_right(self._bases, offset, self._head) - 1
        rows = (
            (self._bases[i], self._ends[i], self._rows[i]) for i in range(index, len(self._rows))
        )
        return gather(rows, offset, limit, at_least_one=at_least_one, end=end)


def gather(
    rows: Iterable[tuple[int, int, bytes]],
    offset: int,
    limit: int,
    *,
    at_least_one: bool,
    end: int | None = None,
) -> Read:
    """Return whole batches, from the one with the offset on, within a limit of bytes.

    Args:
        rows: first offset, next offset and batches of adjacent rows; the first has the offset.
        offset: where to begin.
        limit: bytes.
        at_least_one: whether the first batch comes even if it is above the limit.
        end: the offset where a batch begins that is not wanted any more.
    """
    pieces: list[bytes | memoryview] = []
    size, reached = 0, offset
    for base, next_, row in rows:
        if end is not None and base >= end:
            break
        piece: bytes | memoryview = row
        last, upto = len(row), next_
        if base < offset or size + len(row) > limit or (end is not None and next_ > end):
            first, last, upto = cut(row, offset, limit - size, end)
            piece = memoryview(row)[first:last]
            if size + len(piece) > limit and (pieces or not at_least_one):
                break
        if not piece:  # what was there from the offset on was compacted away
            continue
        pieces.append(piece)
        size, reached = size + len(piece), upto
        # A part of a row must be the last piece, or its rest would be skipped.
        if last < len(row) or size >= limit:
            break
    return Read(b"".join(pieces), reached - offset) if size else NOTHING


class TailCache:
    """Keeps the newest rows of all partitions within a number of bytes.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._size = limit, 0
        self._order: deque[Partition] = deque()
        self._dropped: dict[Partition, int] = {}  # rows that went before their turn
        self._gaps = 0  # the sum of these

    def add(self, partition: Partition, row: Row) -> None:
        """Publish a committed row; the oldest ones make room."""
        partition.extend(row)
        self._order.append(partition)
        self._size += row.size + _ROW_OVERHEAD
        while self._size > self._limit:
            oldest = self._order.popleft()
            if not self._skip(oldest):
                self._size -= oldest.evict() + _ROW_OVERHEAD

    def drop(self, partition: Partition, upto: int) -> None:
        """Forget a partition's rows that lie wholly before an offset."""
        while partition.outdated(upto):
            self._size -= partition.evict() + _ROW_OVERHEAD
            self._dropped[partition] = self._dropped.get(partition, 0) + 1
            self._gaps += 1
        if self._gaps * 2 > len(self._order):
            self._order = deque(one for one in self._order if not self._skip(one))

    def _skip(self, partition: Partition) -> bool:
        """Say whether a partition's oldest turn is of a row that is gone, and count it off."""
        left = self._dropped.pop(partition, 0) - 1
        if left > 0:
            self._dropped[partition] = left
        self._gaps -= left >= 0
        return left >= 0
