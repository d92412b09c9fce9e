"""Which rows have had their time, and when to look again. Pure.

A row is to retention what a segment is to Apache Kafka: it goes as a whole, oldest first, and lives
as long as its newest record. Rules: UnifiedLog.deleteOldSegments.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Head(NamedTuple):
    """A row without its batches: first offset, next offset, largest time, and bytes."""

    base: int
    next: int
    newest: int
    size: int


@dataclass(frozen=True, slots=True)
class Policy:
    """How long a partition's rows are kept.

    Attributes:
        age: milliseconds after its newest record, then a row goes; None: it stays.
        size: bytes that are left at least when rows go for want of space; None: none go.
    """

    age: int | None = None
    size: int | None = None

    @classmethod
    def of(cls, configs: Mapping[str, str], age: int) -> "Policy":
        """Return the policy of a topic's configs.

        Args:
            configs: those that were set.
            age: of topics without retention.ms, in milliseconds; negative is for ever.
        """
        if "delete" not in configs.get("cleanup.policy", "delete").split(","):
            return cls()
        age = int(configs.get("retention.ms", age))
        size = int(configs.get("retention.bytes", -1))
        return cls(age if age >= 0 else None, size if size >= 0 else None)

    def due(self, head: Head, size: int) -> int | None:
        """Return when a partition's first row goes, in milliseconds since 1970; None: not by age.

        Args:
            head: the row.
            size: the partition's bytes, with this row.
        """
        if self.size is not None and size - head.size >= self.size:
            return 0
        return None if self.age is None else head.newest + self.age + 1


class Trimmed(NamedTuple):
    """What of a partition is gone.

    Attributes:
        start: its first offset now.
        size: bytes that went.
        upto: rows that end up to here are not as they were, or are not there any more.
    """

    partition: int
    start: int
    size: int
    upto: int


def outlived(
    heads: Iterable[Head], *, start: int, size: int, policy: Policy, now: int, limit: int
) -> tuple[list[Head], int | None]:
    """Return the first rows that have had their time, and when the next one will have.

    Args:
        heads: a partition's rows from the first on, without a gap.
        start: the partition's first offset; rows wholly below it have no say.
        size: the bytes of all its rows.
        policy: how long they are kept.
        now: milliseconds since 1970.
        limit: bytes after which no further row is taken.

    Returns:
        the rows, and the time of the next, which may be now; None if it is not foreseeable.
    """
    gone: list[Head] = []
    taken = 0
    for head in heads:
        due = 0 if head.next <= start else policy.due(head, size - taken)
        if due is None or due > now or taken >= limit:
            return gone, due
        gone.append(head)
        taken += head.size
    return gone, None


@dataclass(slots=True)
class Extent:
    """What a partition holds.

    Attributes:
        start: its first offset.
        end: its next offset.
        size: the bytes of all its rows.
        due: when to look at it, in milliseconds since 1970; None: not before something is written.
        first: the bytes of its first row; 0 if it was not looked at yet.
        cut: records before this offset are known to lie in no row.
    """

    start: int
    end: int
    size: int
    policy: Policy = field(default_factory=Policy)
    due: int | None = None
    first: int = 0
    cut: int = 0


class Schedule:
    """All partitions, and which is to be looked at next."""

    def __init__(self) -> None:
        self.extents: dict[int, Extent] = {}
        self._heap: list[tuple[int, int]] = []

    def govern(self, partition: int, policy: Policy) -> None:
        """Have a partition's rows kept as a policy says, and look at it now."""
        extent = self.extents.setdefault(partition, Extent(0, 0, 0))
        extent.policy = policy
        self.look(partition, 0)

    def forget(self, partitions: Sequence[int]) -> None:
        """Look at partitions no more."""
        for partition in partitions:
            self.extents.pop(partition, None)

    def begins(self, partition: int, start: int) -> None:
        """Take note that a partition's first offset was moved by command."""
        extent = self.extents.get(partition)
        if extent is not None and start > extent.start:
            extent.start = start
            self.look(partition, 0)

    def wrote(self, partition: int, head: Head) -> None:
        """Take note of a row more, after which its first one may have had its time."""
        extent = self.extents.setdefault(partition, Extent(head.base, head.next, 0))
        extent.size += head.size
        extent.end = head.next
        policy = extent.policy
        if extent.due is None and policy.age is not None:
            # Rows before it, if there are any, were looked at: none of them goes by age alone.
            self.look(partition, head.newest + policy.age + 1)
        if policy.size is not None and extent.size - extent.first >= policy.size:
            self.look(partition, 0)

    def look(self, partition: int, due: int | None) -> None:
        """Have a partition looked at then at the latest."""
        extent = self.extents[partition]
        if due is not None and (extent.due is None or due < extent.due):
            extent.due = due
            heapq.heappush(self._heap, (due, partition))

    def next_due(self) -> int | None:
        """Return when a partition is to be looked at, in milliseconds since 1970."""
        while self._heap:
            due, partition = self._heap[0]
            extent = self.extents.get(partition)
            if extent is not None and extent.due == due:
                return due
            heapq.heappop(self._heap)  # it was put off, or is gone
        return None

    def take(self, now: int) -> int | None:
        """Return a partition that is to be looked at now; it is not looked at again by itself."""
        due = self.next_due()
        if due is None or due > now:
            return None
        _, partition = heapq.heappop(self._heap)
        self.extents[partition].due = None
        return partition
