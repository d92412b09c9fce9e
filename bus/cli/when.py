"""Times as a person writes them on the command line, and as a table shows them."""

import re
from datetime import UTC, datetime, timedelta

from bus.errors import InvalidSettings

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(text: str, *, where: str) -> timedelta:
    """Read a duration: a number and a unit, ``90s``, ``5m``, ``1h``, ``2d`` or ``1w``.

    Raises:
        InvalidSettings: it is none.
    """
    no_duration = InvalidSettings(
        f'"{text}" is no duration', where=where, remedy="write 90s, 5m, 1h, 2d or 1w"
    )
    if not (match := re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text)):
        raise no_duration
    try:
        return timedelta(**{UNITS[match[2]]: float(match[1])})
    except OverflowError as error:
        raise no_duration from error


def instant(text: str, *, now: datetime, where: str) -> datetime:
    """Read a time: ISO 8601, or a duration before now.

    Raises:
        InvalidSettings: it is neither, or is without an offset from UTC.
    """
    if re.fullmatch(r"[\d.]+[smhdw]", text):
        return now - duration(text, where=where)
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidSettings(
            f'"{text}" is no time', where=where, remedy="write 1h, or 2026-11-21T08:00:00Z"
        ) from error
    if time.tzinfo is None:
        raise InvalidSettings(
            f'"{text}" does not say in which zone', where=where, remedy=f"write {text}Z for UTC"
        )
    return time.astimezone(UTC)


def iso(time: datetime) -> str:
    """Return a time in UTC with milliseconds, as ISO 8601 writes it."""
    utc = time.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_ms(milliseconds: int) -> str:
    """Return a Kafka timestamp as ISO 8601."""
    return iso(datetime.fromtimestamp(milliseconds / 1000, UTC))
