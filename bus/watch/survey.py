"""What a look at the whole bus has found, and how far groups are behind. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Bounds = Mapping[int, tuple[int, int]]
"""First and end offset by partition; the end is the next offset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicState:
    """A topic as it was found.

    Args:
        topic: its name.
        bounds: first and end offset by partition.
        newest: append time of the newest record, in seconds since 1970; None: empty or not known.
        retention: how long records are kept, in seconds; None: for ever, by size only or not known.
        size: bytes on the disk of whoever leads its partitions; None: not known.
    """

    topic: str
    bounds: Bounds
    newest: float | None = None
    retention: float | None = None
    size: int | None = None

    @property
    def partitions(self) -> int:
        """How many partitions were found."""
        return len(self.bounds)

    @property
    def records(self) -> int:
        """Records that are stored now; those that compaction took out count, too."""
        return sum(end - first for first, end in self.bounds.values())

    @property
    def end(self) -> int:
        """Records that were ever appended."""
        return sum(end for _, end in self.bounds.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """How far a group is with a topic.

    Args:
        group: the group.
        topic: what it reads.
        records: records that it has not committed; never negative.
        seconds: age of the first record that it has not committed; 0 if there is none, None if it
            never committed a position, or if that record could not be read.
        lost: records that were deleted before it had read them: its position lies before the log's
            start.
        ahead: records by which its position lies behind the log's end, as it can only where the
            topic was made anew; its subscriber cannot go on.
        promise: how far behind it said that it would be at the most, in seconds; None: nothing.
        moved: when its positions were last seen to move, or first seen; in seconds since 1970.
        positions: committed positions by partition; empty if it never committed any.
    """

    group: str
    topic: str
    records: int
    seconds: float | None
    lost: int = 0
    ahead: int = 0
    promise: float | None = None
    moved: float | None = None
    positions: Mapping[int, int]

    @property
    def never_committed(self) -> bool:
        """Whether it has no position on the topic at all."""
        return not self.positions


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState:
    """A consumer group as it was found.

    Args:
        group: its name.
        state: Kafka's word for its state: ``stable``, ``empty``, ``preparing-rebalance``, …
        members: how many there are.
        subscriptions: what it reads or has positions on, by topic.
    """

    group: str
    state: str
    members: int
    subscriptions: Mapping[str, Subscription]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """All that was found in one look.

    Args:
        at: when, in seconds since 1970.
        took: how long it took, in seconds.
        topics: by name; a topic of which nobody could tell anything is missing.
        groups: by name.
        dead: dead letters that wait, by dead letter topic.
    """

    at: float
    took: float
    topics: Mapping[str, TopicState]
    groups: Mapping[str, GroupState]
    dead: Mapping[str, int]

    def subscriptions(self) -> Iterable[Subscription]:
        """Yield every subscription, in the order of groups and topics."""
        for group in sorted(self.groups):
            yield from (one for _, one in sorted(self.groups[group].subscriptions.items()))


def unread(positions: Mapping[int, int], bounds: Bounds) -> dict[int, int]:
    """Return the first offset that is not committed of each partition that has one.

    A partition without a position counts from its first record, as its reader will.
    """
    following = {
        partition: max(positions.get(partition, first), first)
        for partition, (first, _) in bounds.items()
    }
    return {p: offset for p, offset in following.items() if offset < bounds[p][1]}


def subscription(
    group: str,
    topic: str,
    *,
    positions: Mapping[int, int],
    bounds: Bounds,
    times: Mapping[int, float | None],
    now: float,
    promise: float | None = None,
    moved: float | None = None,
) -> Subscription:
    """Return how far a group is with a topic.

    Args:
        group: the group.
        topic: what it reads.
        positions: its committed positions by partition.
        bounds: first and end offset by partition.
        times: for each partition with something unread, when the first such record was appended,
            in seconds since 1970; None where it holds nothing that a reader would get; missing
            where it could not be read.
        now: this moment, in seconds since 1970.
        promise: what the group promised, in seconds.
        moved: when its positions moved last.
    """
    left = unread(positions, bounds)
    # What a transaction took back, or its end marks, is no event that anybody waits for.
    waiting = {p: offset for p, offset in left.items() if times.get(p, now) is not None}
    known = [time for p in waiting if (time := times.get(p)) is not None]
    seconds: float | None = None
    if positions and not waiting:
        seconds = 0.0
    elif positions and known:
        seconds = max(now - min(known), 0.0)
    there = {p: at for p, at in positions.items() if p in bounds}
    return Subscription(
        group=group,
        topic=topic,
        records=sum(bounds[p][1] - offset for p, offset in waiting.items()),
        seconds=seconds,
        lost=sum(max(bounds[p][0] - at, 0) for p, at in there.items()),
        ahead=sum(max(at - bounds[p][1], 0) for p, at in there.items()),
        promise=promise,
        moved=moved,
        positions=dict(positions),
    )
