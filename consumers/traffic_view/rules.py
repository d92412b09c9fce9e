"""What an observation does to the view, as pure functions over what the table holds.

The table's keys are ``(key, (start, end))`` with the event's key and seconds since 1970; its values
are what `bus.views.traffic.window` reads, with the place in the topic that they reach to:
``{"v": 1, "place": [partition, offset], "codes": {microseconds: code or null}}``.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bus.errors import BadEvent
from bus.views.traffic.window import WIDTH, microseconds

QUARTER = WIDTH.total_seconds()
LATENESS = 3600.0
"""Seconds after its end, by the clock of events, in which a window still takes what comes late."""

KEPT = 24 * 3600.0
"""Seconds after its end, by the clock of events, when a window is dropped."""

AHEAD = timedelta(minutes=10)
"""How far an observation may be ahead of our clock; more is no clock's error."""

MOST = 900
"""Observations that a window holds: one a second. More would make every write as large as that."""

Key = tuple[str, tuple[float, float]]
Value = Mapping[str, Any]


@dataclass(slots=True)
class Mark:
    """How far one partition is: the next offset, and the newest time that was observed there."""

    next: int
    newest: float


def check(observed_at: datetime, now: datetime) -> None:
    """Check when something was observed: one event from the future would close all windows.

    Raises:
        BadEvent: it lies ahead of our clock.
    """
    if observed_at > now + AHEAD:
        raise BadEvent(f"{observed_at.isoformat()} is in the future", where="observed_at")


def is_late(end: float, newest: float) -> bool:
    """Return whether a window that ends then takes nothing any more.

    Args:
        end: when the window ends, in seconds since 1970.
        newest: the newest time that was observed on its partition.
    """
    return end + LATENESS <= newest


def taken(
    value: Value | None, observed_at: datetime, code: int | None, place: tuple[int, int]
) -> Value:
    """Return a window's value with an observation; one of the same time is replaced.

    Args:
        value: what the table holds; None for a new window.
        observed_at: when it was observed, which names the observation.
        code: its load code; None if the source marked it as not valid.
        place: partition and offset of the event.

    Raises:
        BadEvent: the window is full.
    """
    codes = dict(value["codes"]) if value else {}
    codes[str(microseconds(observed_at))] = code
    if len(codes) > MOST:
        raise BadEvent(f"more than {MOST} observations in a quarter of an hour", where="segment")
    return {"v": 1, "place": list(place), "codes": codes}


def marks(items: Iterable[tuple[Key, Value]]) -> dict[int, Mark]:
    """Return how far each partition is that the table has something of."""
    found: dict[int, Mark] = {}
    for _, value in items:
        partition, offset = value["place"]
        mark = found.setdefault(partition, Mark(0, float("-inf")))
        mark.next = max(mark.next, offset + 1)
        mark.newest = max(mark.newest, max(map(int, value["codes"])) / 1e6)
    return found


def expired(items: Iterable[tuple[Key, Value]]) -> list[Key]:
    """Return the keys of the windows to be dropped, by the newest window of their partition."""
    newest: defaultdict[int, float] = defaultdict(lambda: float("-inf"))
    ends: list[tuple[Key, int, float]] = []
    for key, value in items:
        partition, end = value["place"][0], key[1][0] + QUARTER
        newest[partition] = max(newest[partition], end)
        ends.append((key, partition, end))
    return [key for key, partition, end in ends if end + KEPT <= newest[partition]]
