"""One segment in one quarter of an hour, and the record of `view.traffic-load` that holds it.

The topic is the changelog of the view's table, so its records have the form that Faust gives them:
the key is JSON, ``[key, [start, end]]`` with the event's key and seconds since 1970; the value is
JSON or, where the window was dropped, null.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bus.errors import UndecodableEvent
from bus.event import split_key

TOPIC = "view.traffic-load"
WIDTH = timedelta(minutes=15)
UNLISTED_CODE = 16
"""The code that is counted and left out of averages, as `mobility.traffic-load.v1` says."""

BAD_VIEW = "bad-view"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

WindowKey = tuple[str, str, datetime]
"""Municipality, segment, and the moment when the quarter of an hour begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What was observed of one segment in one quarter of an hour.

    Attributes:
        municipality: its ARS.
        segment: its id there.
        start: when the quarter of an hour begins, in UTC.
        codes: the load code of each observation by its time in microseconds since 1970; None where
            the source marked it as not valid.
    """

    municipality: str
    segment: str
    start: datetime
    codes: Mapping[int, int | None]

    @property
    def key(self) -> WindowKey:
        """What tells it from other windows."""
        return self.municipality, self.segment, self.start

    @property
    def averaged(self) -> list[int]:
        """The codes that count for the average."""
        return [code for code in self.codes.values() if code not in {None, UNLISTED_CODE}]

    @property
    def average(self) -> float | None:
        """The mean of the codes; None where there is none that counts."""
        codes = self.averaged
        return sum(codes) / len(codes) if codes else None

    @property
    def unlisted(self) -> int:
        """How many observations have code 16."""
        return sum(code == UNLISTED_CODE for code in self.codes.values())

    @property
    def invalid(self) -> int:
        """How many observations the source marked as not valid."""
        return sum(code is None for code in self.codes.values())

    @property
    def newest(self) -> datetime:
        """When it was observed last; its start where it was not."""
        return moment(max(self.codes)) if self.codes else self.start


def moment(micros: int) -> datetime:
    """Return the moment so many microseconds after 1970 began, in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def microseconds(at: datetime) -> int:
    """Return how many microseconds after 1970 began a moment is."""
    return (at - _EPOCH) // _MICROSECOND


def read_key(key: bytes | None) -> WindowKey:
    """Return which window a record is about.

    Raises:
        UndecodableEvent: the key is not as the view writes it.
    """
    try:
        (text, (start, _)) = json.loads(key or b"")
        municipality, segment = split_key(text)
        return municipality, segment, _EPOCH + timedelta(seconds=start)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise _bad(f"the key is no window's: {error}") from error


def read_window(key: bytes | None, value: bytes) -> Window:
    """Return the window that a record holds.

    Raises:
        UndecodableEvent: key or value are not as the view writes them.
    """
    municipality, segment, start = read_key(key)
    try:
        said = json.loads(value)
        if said["v"] != 1:
            raise _bad(f"the value is of version {said['v']}, this program knows version 1")
        codes = {int(at): _code(code) for at, code in said["codes"].items()}
        moment(max(codes, default=0))  # raises what no calendar has
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise _bad(f"the value is no window: {error!r}") from error
    return Window(municipality=municipality, segment=segment, start=start, codes=codes)


def _code(code: Any) -> int | None:
    if code is not None and type(code) is not int:
        raise ValueError(f"{code!r} is no load code")
    return code


def _bad(what: str) -> UndecodableEvent:
    return UndecodableEvent(what, reason=BAD_VIEW, where=TOPIC)
