"""Reads a city's records of traffic load: one row for each segment and time, in order of time.

The file as Köln's traffic interface was recorded: ``datetime_utc``, ``identifier``, ``auslastung``
(the load code), ``valid``; compressed where its name ends in ``.gz``.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from bus.errors import InvalidInput
from producers.table import opened
from producers.traffic.order import in_order

COLUMNS = ["datetime_utc", "identifier", "auslastung", "valid"]
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_CODE = re.compile(r"-?[0-9]{1,9}")
_VALID = {"0": False, "1": True}


class Observation(NamedTuple):
    """What was observed of a segment at a time: the source's code, and whether it trusts it."""

    at: datetime
    segment: str
    code: int
    valid: bool


class Line(NamedTuple):
    """One row: its number from 0, where it stands, and what was observed or why it was refused."""

    row: int
    where: str
    observation: Observation | None
    refusal: InvalidInput | None

    @property
    def at(self) -> datetime | None:
        """When it was observed; None if the row was refused."""
        return self.observation.at if self.observation else None

    def refused(self, why: str) -> "Line":
        """Return the row as one whose time cannot be right."""
        time = f"{self.at:%Y-%m-%d %H:%M:%S}" if self.at else ""
        return self._replace(
            observation=None, refusal=InvalidInput(f"{time} {why}", where=self.where)
        )


def lines(path: Path) -> Iterator[Line]:
    """Yield the rows of a file in order.

    A row that cannot be used comes with its refusal, and the next one goes on. One that is earlier
    than the row before is refused, because there is no going back in a replay; so is one that is
    far ahead of all others.

    Raises:
        InvalidInput: the file cannot be read as a whole: encoding, compression, first line.
    """
    yield from in_order(_read(path), lambda line: line.at, Line.refused)


def _read(path: Path) -> Iterator[Line]:
    with opened(path) as file:
        table = csv.reader(file, strict=True)
        if (header := next(table, [])) != COLUMNS:
            raise InvalidInput(
                f"the columns are {','.join(header) or 'none'}, wanted {','.join(COLUMNS)}",
                where=f"{path}:1",
            )
        for row, fields in enumerate(table):
            where = f"{path}:{table.line_num}"
            try:
                yield Line(row, where, _observation(fields), None)
            except ValueError as error:
                yield Line(row, where, None, InvalidInput(str(error), where=where))


def _observation(fields: Sequence[str]) -> Observation:
    if len(fields) != len(COLUMNS):
        raise ValueError(f"has {len(fields)} fields, wanted {len(COLUMNS)}")
    time, segment, code, valid = fields
    at = _time(time)
    if not segment:
        raise ValueError("identifier is empty")
    if not _CODE.fullmatch(code):
        raise ValueError(f'auslastung is "{code}", wanted a whole number')
    if valid not in _VALID:
        raise ValueError(f'valid is "{valid}", wanted 0 or 1')
    return Observation(at, segment, int(code), _VALID[valid])


def _time(text: str) -> datetime:
    try:
        if not _TIME.fullmatch(text):
            raise ValueError
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f'datetime_utc is "{text}", wanted YYYY-MM-DD HH:MM:SS') from None
