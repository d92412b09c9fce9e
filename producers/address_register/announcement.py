"""Changes of addresses as events of the contract `address.building-changed.v1`."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from producers.address_register.difference import Change, Kind

TOPIC = "address.building-changed.v1"
ZONE = ZoneInfo("Europe/Berlin")

CAUSES = {Kind.RENAMED: "STREET_RENAMED", Kind.RENUMBERED: "RENUMBERING"}
"""What happened tells why in these cases; a building that is gone may have been torn down, or its
address corrected, and an area gets another postcode for many reasons."""


def announcement(change: Change, municipality: str) -> dict[str, Any]:
    """Return what an event says about a change, but for its day.

    Args:
        change: what happened to an address.
        municipality: the ARS of the municipality that it lies in.
    """
    at = change.row.location
    return {
        "address_id": change.address,
        "municipality": municipality,
        "change": change.kind.value,
        "street": at.street,
        "number": at.number,
        "suffix": at.suffix or None,
        "postcode": at.postcode,
        "place": at.place,
        "cause": CAUSES.get(change.kind, "UNKNOWN"),
        "corrects": None,
    }


def dated(data: Mapping[str, Any], day: date) -> dict[str, Any]:
    """Return an event's data with its day: inferred, as a snapshot tells no day of its own."""
    return {**data, "valid_from": day, "basis": "INFERRED"}


def moment(day: date) -> datetime:
    """Return when a local day begins, in UTC: the time of its events."""
    return datetime.combine(day, time(), ZONE).astimezone(UTC)
