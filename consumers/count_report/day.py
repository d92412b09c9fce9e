"""Local days: which one a moment belongs to, and how long it is."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def day_of(at: datetime, zone: ZoneInfo) -> date:
    """Return the local day of a moment.

    Args:
        at: the moment, with a time zone.
        zone: where the day is counted.
    """
    return at.astimezone(zone).date()


def length(day: date, zone: ZoneInfo) -> timedelta:
    """Return how long a local day lasts: 23 or 25 hours where summer time begins or ends."""
    midnight, next_midnight = (
        datetime.combine(start, time(), zone).astimezone(UTC)
        for start in (day, day + timedelta(days=1))
    )
    return next_midnight - midnight


def intervals(day: date, seconds: int, zone: ZoneInfo) -> int:
    """Return how many whole intervals of so many seconds a local day has."""
    return int(length(day, zone) / timedelta(seconds=seconds))
