"""Reads a counting station's file: one row for each interval, one column for each channel.

The file as the city's counters export it: ``Datetime``, then one column ``<id> (<name>)`` for each
channel, then one ``<id>-status`` for each. The first channel is the station's own total.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bus.errors import InvalidInput
from producers.counts.clock import in_utc
from producers.table import opened

_CHANNEL = re.compile(r"(?P<id>[0-9]+) \((?P<name>.+)\)")
_CARS = re.compile(r"\b(?:kfz|pkw|autos?|cars?|fahrzeuge?)\b", re.IGNORECASE)
_COUNT = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Channel:
    """What one column counts.

    Attributes:
        id: the channel's number.
        name: the channel's name.
        cars: whether its name says that it counts motor vehicles, not bicycles.
    """

    id: str
    name: str
    cars: bool


class Reading(NamedTuple):
    """One cell: what a channel counted in one interval, and the status that the counter gave."""

    station: str
    channel: Channel
    at: datetime
    counted: int | None
    status: str


class Line(NamedTuple):
    """One row: its number from 0, its readings or why it was refused.

    ``at`` is when its interval begins; that of the row before if it cannot be told.
    """

    row: int
    at: datetime | None
    readings: tuple[Reading, ...]
    refusal: InvalidInput | None


def channels(path: Path) -> tuple[Channel, ...]:
    """Return the channels of a file, the station's total first.

    Raises:
        InvalidInput: the file cannot be read, or its first line is not that of a station.
    """
    with opened(path) as file:
        return _channels(path, next(csv.reader(file, strict=True), []))


def lines(path: Path, zone: ZoneInfo) -> Iterator[Line]:
    """Yield the rows of a file in order.

    A row that cannot be used comes with its refusal, and the next one goes on.

    Raises:
        InvalidInput: the file cannot be read as a whole: encoding, first line.
    """
    with opened(path) as file:
        table = csv.reader(file, strict=True)
        found = _channels(path, next(table, []))
        before: datetime | None = None
        for row, fields in enumerate(table):
            readings: tuple[Reading, ...] = ()
            refusal = None
            try:
                before = in_utc(_local(fields), zone, before)
                readings = _readings(found, fields, before)
            except ValueError as error:
                refusal = InvalidInput(str(error), where=f"{path}:{table.line_num}")
            yield Line(row, before, readings, refusal)


def _channels(path: Path, header: Sequence[str]) -> tuple[Channel, ...]:
    where, half = f"{path}:1", (len(header) + 1) // 2
    if not header or header[0] != "Datetime":
        raise InvalidInput('the first column is not "Datetime"', where=where)
    found = []
    for text in header[1:half]:
        if not (match := _CHANNEL.fullmatch(text)):
            raise InvalidInput(f'column "{text}" is not "<id> (<name>)"', where=where)
        found.append(Channel(match["id"], match["name"], bool(_CARS.search(match["name"]))))
    if list(header[half:]) != [f"{channel.id}-status" for channel in found] or not found:
        raise InvalidInput(
            "the channels are not followed by one status column each, in the same order",
            where=where,
        )
    return tuple(found)


def _readings(found: Sequence[Channel], fields: Sequence[str], at: datetime) -> tuple[Reading, ...]:
    wanted = 1 + 2 * len(found)
    if len(fields) != wanted:
        raise ValueError(f"has {len(fields)} fields, wanted {wanted}")
    counts, statuses = fields[1 : 1 + len(found)], fields[1 + len(found) :]
    return tuple(
        Reading(found[0].id, channel, at, _count(channel, count), status.strip())
        for channel, count, status in zip(found, counts, statuses, strict=True)
    )


def _local(fields: Sequence[str]) -> datetime:
    text = fields[0] if fields else ""
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M")  # noqa: DTZ007  # in_utc adds the zone
    except ValueError:
        raise ValueError(f'Datetime is "{text}", wanted YYYY-MM-DD HH:MM') from None


def _count(channel: Channel, text: str) -> int | None:
    if not text:
        return None
    if not _COUNT.fullmatch(text):
        raise ValueError(f'{channel.id} ({channel.name}) is "{text}", wanted a count')
    return int(text)
