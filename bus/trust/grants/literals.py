"""What a value written in a grant's terms stands for among decoded ones. Pure.

Terms are JSON, decoded values have Avro's types. A text may mean a text or symbol, a day
(``2026-07-01``), an instant (``2026-07-01T00:00:00Z``) or a UUID, and is compared with a value of
its own type only: a number is no text, true is no 1.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from bus.event import read_time, write_time

Literal = str | int | bool

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def readings(literal: Literal) -> dict[type, Any]:
    """Return what a literal stands for, by the type of the values that it is compared with."""
    if not isinstance(literal, str):
        return {type(literal): literal}
    found: dict[type, Any] = {str: literal}
    if (day := day_of(literal)) is not None:
        found[date] = day
    if (instant := instant_of(literal)) is not None:
        found[datetime] = instant
    if _UUID.fullmatch(literal):
        found[UUID] = UUID(literal)
    return found


def day_of(text: str) -> date | None:
    """Return the day that a text names, as ``2026-07-01``; None if it names none."""
    if not _DAY.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def instant_of(text: str) -> datetime | None:
    """Return the instant that a text names in UTC, as ``2026-07-01T00:00:00Z``; None if none."""
    if not text.endswith("Z"):
        return None
    try:
        instant = read_time(text)
    except ValueError:
        return None
    return instant if write_time(instant) == text else None


def value_at(values: Mapping[str, Any], path: Sequence[str]) -> Any:
    """Return the value at a path; None if it is missing, null or not under a record.

    A local time is None, too: it is no instant, and cannot be compared with one.
    """
    found: Any = values
    for name in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return None if type(found) is datetime and found.tzinfo is None else found


def tagged(value: Any) -> str | None:
    """Return a text that two values share only if they are the same, of the same type.

    Returns:
        None for a value of a type that no literal can be equal to.
    """
    kind = type(value)
    if kind is str:
        return f"s{value}"
    if kind is int:
        return f"i{value}"
    if kind is bool:
        return "b1" if value else "b0"
    if kind is date:
        return f"d{value.isoformat()}"
    if kind is datetime:
        return f"t{value.astimezone(UTC).isoformat()}"
    return f"u{value.hex}" if kind is UUID else None
