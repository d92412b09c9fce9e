"""Local times without an offset, turned into UTC: what the order of the rows can settle."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo


class NoSuchTime(ValueError):
    """A local time that cannot be told: skipped by summer time, repeated or out of order."""


def in_utc(local: datetime, zone: ZoneInfo, after: datetime | None) -> datetime:
    """Return when a clock on the wall showed a time.

    In the hour that the end of summer time repeats, a time means its first occurrence unless a
    row before it was that late already; then it means the second.

    Args:
        local: what the clock showed, without time zone.
        zone: where it hangs.
        after: the time in UTC of the row before; the result is later.

    Raises:
        NoSuchTime: the clock skipped this hour, or the time is not after the row before.
    """
    occurrences = sorted({local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)})
    real = [at for at in occurrences if at.astimezone(zone).replace(tzinfo=None) == local]
    if not real:
        raise NoSuchTime(f"{local:%Y-%m-%d %H:%M} does not exist in {zone.key}: summer time began")
    for at in real:
        if after is None or at > after:
            return at
    raise NoSuchTime(f"{local:%Y-%m-%d %H:%M} is not after the time of the row before")
