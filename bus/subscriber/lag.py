"""How far groups are behind, in records and in seconds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from bus.admin import Admin
from bus.errors import NotFound
from bus.kafka import LogReader, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLag:
    """How far a group is behind on a topic.

    Args:
        group: the group.
        topic: what it reads.
        records: records that it has not committed.
        seconds: age of the oldest record that it has not committed, 0 if there is none; None if
            it never committed any position, as it is not known then what it means to read.
    """

    group: str
    topic: str
    records: int
    seconds: float | None


def unread(positions: Mapping[int, int], bounds: Mapping[int, tuple[int, int]]) -> dict[int, int]:
    """Return the first offset that is not committed of each partition that has one.

    A partition without a position counts from its first record, as its reader will.

    Args:
        positions: committed positions by partition.
        bounds: first and end offset by partition.
    """
    following = {
        partition: max(positions.get(partition, first), first)
        for partition, (first, _) in bounds.items()
    }
    return {p: offset for p, offset in following.items() if offset < bounds[p][1]}


def lag_of(
    group: str,
    topic: str,
    positions: Mapping[int, int],
    bounds: Mapping[int, tuple[int, int]],
    oldest_ms: int | None,
    now: datetime,
) -> GroupLag:
    """Return the lag of a group on a topic.

    Args:
        group: the group.
        topic: what it reads.
        positions: its committed positions by partition; empty if it never committed any.
        bounds: first and end offset by partition.
        oldest_ms: append time of the oldest record that is not committed, if there is one.
        now: this moment.
    """
    records = sum(bounds[p][1] - offset for p, offset in unread(positions, bounds).items())
    seconds: float | None = None
    if positions:
        seconds = 0.0 if oldest_ms is None else max(now.timestamp() - oldest_ms / 1000, 0.0)
    return GroupLag(group=group, topic=topic, records=records, seconds=seconds)


async def lags(
    admin: Admin, reader: LogReader, groups: Iterable[str] | None = None
) -> list[GroupLag]:
    """Return the lag of groups on every topic that they have positions on, or are reading now.

    Args:
        admin: knows groups and their positions.
        reader: knows what the topics hold.
        groups: which ones; all if None.

    Raises:
        BusUnavailable: the engine cannot be reached.
    """
    found = []
    for group in await admin.groups() if groups is None else groups:
        try:
            members = (await admin.describe_group(group)).members
        except NotFound:
            continue  # nobody has joined it, or it went away meanwhile
        by_topic: dict[str, dict[int, int]] = {t: {} for m in members for t, _ in m.partitions}
        for (topic, partition), offset in (await admin.group_offsets(group)).items():
            by_topic.setdefault(topic, {})[partition] = offset
        for topic, positions in sorted(by_topic.items()):
            try:
                bounds = await reader.bounds(topic)
            except NotFound:
                continue  # the topic was deleted, its positions are still there
            oldest = await _oldest(reader, topic, unread(positions, bounds))
            found.append(lag_of(group, topic, positions, bounds, oldest, datetime.now(UTC)))
    return found


async def _oldest(reader: LogReader, topic: str, offsets: Mapping[int, int]) -> int | None:
    times = [await _appended((topic, p), offset, reader) for p, offset in offsets.items()]
    return min((time for time in times if time is not None), default=None)


async def _appended(place: Place, offset: int, reader: LogReader) -> int | None:
    records = await reader.read(*place, offset, max_wait=0)
    return records[0].timestamp_ms if records else None
