"""Events per second, in and out, and where lag is going, from surveys that follow. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bus.watch.names import is_aside, is_internal
from bus.watch.survey import Survey

Trend = Literal["growing", "shrinking", "steady"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Events per second between two surveys.

    Args:
        seconds: how far apart they were.
        published: events in, by topic.
        consumed: events out, by group and topic: what was committed, as the protocol does not tell
            what was fetched.
    """

    seconds: float
    published: Mapping[str, float]
    consumed: Mapping[tuple[str, str], float]

    @property
    def into(self) -> float:
        """Events in of all topics but the bus's own, dead letters and what of them is re-driven."""
        return sum(
            rate
            for topic, rate in self.published.items()
            if not (is_internal(topic) or is_aside(topic))
        )

    @property
    def out(self) -> float:
        """Events out to all groups but the bus's own."""
        return sum(
            rate
            for (group, topic), rate in self.consumed.items()
            if not (is_internal(group) or is_internal(topic))
        )


def rates(before: Survey | None, after: Survey) -> Rates | None:
    """Return what happened between two surveys; None if there is no time between them.

    What is new since the first one, or was made anew, has no rate yet.
    """
    if before is None or after.at <= before.at:
        return None
    seconds = after.at - before.at
    published = {
        topic: events / seconds
        for topic, state in after.topics.items()
        if topic in before.topics
        and (events := _appended(before.topics[topic].bounds, state.bounds)) is not None
    }
    return Rates(
        seconds=seconds,
        published=published,
        consumed={key: events / seconds for key, events in committed(before, after).items()},
    )


def committed(before: Survey, after: Survey) -> dict[tuple[str, str], int]:
    """Return by how much positions moved forward between two surveys, by group and topic.

    A group that was set back did not read by that.
    """
    found = {}
    for one in after.subscriptions():
        group = before.groups.get(one.group)
        earlier = group.subscriptions.get(one.topic) if group else None
        if earlier is not None:
            found[one.group, one.topic] = sum(
                max(offset - earlier.positions.get(partition, offset), 0)
                for partition, offset in one.positions.items()
            )
    return found


def _appended(
    before: Mapping[int, tuple[int, int]], after: Mapping[int, tuple[int, int]]
) -> int | None:
    """Return how many records were appended; None where the topic was made anew meanwhile."""
    grown = [end - before[p][1] for p, (_, end) in after.items() if p in before]
    return sum(grown) if min(grown, default=0) >= 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far groups were behind at a time: records by group and topic."""

    at: float
    records: Mapping[tuple[str, str], int]


def mark(survey: Survey) -> Mark:
    """Return what is kept of a survey to see where lag is going."""
    return Mark(
        at=survey.at, records={(s.group, s.topic): s.records for s in survey.subscriptions()}
    )


def trend(history: Sequence[Mark], group: str, topic: str) -> Trend | None:
    """Return where a subscription's lag is going; None if it was not seen twice.

    It grows if both the least and the most of its later half are above those of the earlier one, so
    a backlog that comes and goes is steady.

    Args:
        history: marks, oldest first.
        group: the group.
        topic: what it reads.
    """
    seen = [one.records[group, topic] for one in history if (group, topic) in one.records]
    if len(seen) < 2:
        return None
    half = len(seen) // 2
    earlier, later = seen[:half], seen[-half:]
    if min(later) > min(earlier) and max(later) > max(earlier):
        return "growing"
    if min(later) < min(earlier) and max(later) < max(earlier):
        return "shrinking"
    return "steady"
