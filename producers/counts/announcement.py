"""Readings as events of the contract `sensor.reading.v1`."""

from datetime import timedelta
from typing import Any

from bus.event import Draft
from producers.counts.station import Reading
from producers.identity import identity as named

TOPIC = "sensor.reading.v1"
INTERVAL = timedelta(minutes=15)
UNIT = "1"
RAW = "0"
"""The counters' status of a count as it was counted; the only one that the city's files have."""


def draft(municipality: str, source: str, reading: Reading) -> Draft:
    """Return the event of a reading.

    Args:
        municipality: the ARS of the municipality that the station stands in.
        source: the system that publishes; part of the event's id.
        reading: what was counted.
    """
    return Draft(
        id=identity(source, reading),
        time=reading.at,
        data=_data(municipality, reading),
    )


def identity(source: str, reading: Reading) -> str:
    """Return an event id that is the same whenever the same reading is published again.

    A corrected count is another event.
    """
    parts = (
        source,
        reading.station,
        reading.channel.id,
        reading.at.isoformat(),
        reading.counted,
        reading.status,
    )
    return named(reading.at, parts)


def _data(municipality: str, reading: Reading) -> dict[str, Any]:
    return {
        "municipality": municipality,
        "thing": reading.station,
        "datastream": f"{reading.station}:{reading.channel.id}",
        "observed_property": "car-count" if reading.channel.cars else "bicycle-count",
        "phenomenon_time": reading.at,
        "interval_seconds": int(INTERVAL.total_seconds()),
        "result": None if reading.counted is None else float(reading.counted),
        "unit": UNIT,
        "quality": quality(reading),
        "quality_flag": reading.status or None,
    }


def quality(reading: Reading) -> str:
    """Return how far a reading can be trusted.

    A cell without a count is a gap, whatever its status; a status that is not known here is
    passed on as it came and judged by nobody.
    """
    if reading.counted is None:
        return "MISSING"
    return "VALID" if reading.status == RAW else "UNKNOWN"
