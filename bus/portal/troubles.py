"""What is wrong with subscriptions, the worst first; pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from bus.portal.judging import Finding, judged
from bus.portal.picture import Picture
from bus.portal.states import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A subscription with which something is wrong.

    Args:
        group, topic: which.
        finding: what is wrong.
        records: events that are unread.
        seconds: how late it is; None: nobody knows.
        promise: how late it promised to be at the most, in seconds; None: nothing.
        lost: events that were deleted before it read them.
        retention: how long its topic keeps events, in seconds; None: nobody knows.
    """

    group: str
    topic: str
    finding: Finding
    records: int
    seconds: float | None
    promise: float | None
    lost: int
    retention: float | None


@lru_cache(maxsize=1)  # the page is asked for more often than the bus is looked at
def troubles_of(picture: Picture) -> Sequence[Trouble]:
    """Return what was wrong when the bus was seen, the worst first."""
    return sorted(_found(picture), key=_worst)


def _found(picture: Picture) -> Iterator[Trouble]:
    for group in picture.groups():
        for one in group.subscriptions.values():
            topic = picture.survey.topics.get(one.topic)
            retention = topic.retention if topic else None
            finding = judged(one, retention, picture.survey.at)
            if finding.state.severity >= State.WARNING.severity:
                yield Trouble(
                    group=one.group,
                    topic=one.topic,
                    finding=finding,
                    records=one.records,
                    seconds=one.seconds,
                    promise=one.promise,
                    lost=one.lost,
                    retention=retention,
                )


def _worst(one: Trouble) -> tuple[int, float, str, str]:
    return list(Finding).index(one.finding), -(one.seconds or 0.0), one.group, one.topic
