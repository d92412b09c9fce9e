"""The readings that were received, and the daily totals that they add up to.

A reading is kept by municipality, datastream and time, so one that is published again, or
corrected, takes the place of the first and is counted once.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    Column,
    Connection,
    Date,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
)

from bus.errors import BadEvent
from bus.event import Event
from consumers.count_report.day import day_of, intervals

ZONE = ZoneInfo("Europe/Berlin")
FIRST_YEAR, LAST_YEAR = 2, 9998
KEY = ("municipality", "datastream", "phenomenon_time")
COUNTS = {"bicycle-count": "bicycles", "car-count": "cars"}

METADATA = MetaData()
READING = Table(
    "reading",
    METADATA,
    Column("municipality", String, primary_key=True),
    Column("datastream", String, primary_key=True),
    Column("phenomenon_time", DateTime(timezone=True), primary_key=True),
    Column("thing", String, nullable=False),
    Column("observed_property", String, nullable=False),
    Column("day", Date, nullable=False),
    Column("interval_seconds", Integer, nullable=False),
    Column("result", Float),
    Index("reading_day", "day", "thing"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What one datastream counted on one day; ``readings`` are those with a result."""

    municipality: str
    thing: str
    datastream: str
    observed_property: str
    day: date
    total: float
    readings: int
    interval_seconds: int

    @property
    def is_total(self) -> bool:
        """Whether the station itself has added up its channels here."""
        return self.datastream in {self.thing, f"{self.thing}:{self.thing}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """A day of a station: its total, and the readings it is made of, of those expected."""

    municipality: str
    station: str
    counted: str
    day: date
    total: int
    readings: int
    expected: int


def keep(connection: Connection, events: Iterable[Event]) -> None:
    """Keep readings, inside the caller's transaction; other properties are none of ours.

    Raises:
        BadEvent: what an event says cannot be a part of any day's total; nothing was done.
    """
    rows = {}
    for event in events:
        data = event.data
        if data is None or data["observed_property"] not in COUNTS:
            continue
        _check(data)
        row = _row(data)
        rows[tuple(row[name] for name in KEY)] = row
    if rows:
        same = (READING.c[name] == bindparam(f"this_{name}") for name in KEY)
        keys = [{f"this_{name}": row[name] for name in KEY} for row in rows.values()]
        connection.execute(delete(READING).where(*same), keys)
        connection.execute(insert(READING), list(rows.values()))


def _check(data: Mapping[str, Any]) -> None:
    if data["interval_seconds"] <= 0:
        raise BadEvent("a count needs an interval with a length", where="interval_seconds")
    if data["result"] is not None and not isfinite(data["result"]):
        raise BadEvent(f"{data['result']} is no count", where="result")
    if not FIRST_YEAR <= data["phenomenon_time"].year <= LAST_YEAR:
        # The calendar ends there: such a moment has no local day, or none after it.
        raise BadEvent("lies outside the calendar", where="phenomenon_time")


def streams(connection: Connection) -> list[Stream]:
    """Return what each datastream counted on each day."""
    columns = (
        READING.c.municipality,
        READING.c.thing,
        READING.c.datastream,
        READING.c.observed_property,
        READING.c.day,
    )
    found = connection.execute(
        select(
            *columns,
            func.coalesce(func.sum(READING.c.result), 0.0).label("total"),
            func.count(READING.c.result).label("readings"),
            func.min(READING.c.interval_seconds).label("interval_seconds"),
        ).group_by(*columns)
    )
    return [Stream(**row) for row in found.mappings()]


def totals(found: Iterable[Stream], zone: ZoneInfo = ZONE) -> list[Total]:
    """Return the daily totals of stations, bicycles and cars apart.

    Where a station reports its own total, that is the total; the channels that it is the sum of
    would count everybody twice. Elsewhere the channels are added up.
    """
    groups: defaultdict[tuple[str, str, str, date], list[Stream]] = defaultdict(list)
    for stream in found:
        groups[stream.municipality, stream.thing, stream.observed_property, stream.day].append(
            stream
        )
    return [
        _total(key, [stream for stream in group if stream.is_total] or group, zone)
        for key, group in sorted(groups.items())
    ]


def _total(key: tuple[str, str, str, date], group: list[Stream], zone: ZoneInfo) -> Total:
    municipality, station, observed, day = key
    return Total(
        municipality=municipality,
        station=station,
        counted=COUNTS[observed],
        day=day,
        total=round(sum(stream.total for stream in group)),
        readings=sum(stream.readings for stream in group),
        expected=sum(intervals(day, stream.interval_seconds, zone) for stream in group),
    )


def _row(data: Mapping[str, Any]) -> dict[str, Any]:
    at = data["phenomenon_time"].astimezone(UTC)
    return {
        "municipality": data["municipality"],
        "datastream": data["datastream"],
        "phenomenon_time": at,
        "thing": data["thing"],
        "observed_property": data["observed_property"],
        "day": day_of(at, ZONE),
        "interval_seconds": data["interval_seconds"],
        "result": data["result"],
    }
