"""What flowed, now and a day before, as a chart and its table show it; pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bus.portal.sums import MINUTE, Sum


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What flowed in a while, now and a day before, in events a second; None: not counted.

    Args:
        begin: when it began, in seconds since 1970.
        received, sent: in that while.
        received_before, sent_before: in the same while of the day before.
    """

    begin: int
    received: float | None
    sent: float | None
    received_before: float | None
    sent_before: float | None


def points(
    sums: Mapping[int, Sum], before: Mapping[int, Sum], first: int, end: int, step: int
) -> list[Point]:
    """Return a chart's points, oldest first.

    Args:
        sums: what was counted, by the number of the while.
        before: what was counted a day before, by the number of the while that it is compared with.
        first, end: from which while on, and before which.
        step: minutes of a while.
    """
    return [
        Point(
            begin=number * step * MINUTE,
            received=_rate(sums.get(number), "received"),
            sent=_rate(sums.get(number), "sent"),
            received_before=_rate(before.get(number), "received"),
            sent_before=_rate(before.get(number), "sent"),
        )
        for number in range(first, end)
    ]


def compared(sums: Mapping[int, Sum], before: Mapping[int, Sum]) -> Point:
    """Return as one point what was counted in a while, and a day before it."""
    now, then = _total(sums.values()), _total(before.values())
    return Point(
        begin=min(sums, default=0) * MINUTE,
        received=_rate(now, "received"),
        sent=_rate(now, "sent"),
        received_before=_rate(then, "received"),
        sent_before=_rate(then, "sent"),
    )


def _total(sums: Collection[Sum]) -> Sum | None:
    return Sum(*map(sum, zip(*sums, strict=True))) if sums else None


def _rate(counted: Sum | None, what: str) -> float | None:
    if counted is None or counted.seconds <= 0:
        return None
    return float(getattr(counted, what)) / counted.seconds
