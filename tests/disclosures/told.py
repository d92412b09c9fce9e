"""Disclosures as the router tells of them."""

from typing import Any

from bus.disclosures import TOPIC, Disclosure
from bus.kafka import Fetched, Record

TAX, WATER = "de.agency.finanzamt", "de.util.stadtwerke"
RINGELAI, PERLESREUT = "de.mun.092720140140", "de.mun.092725214138"
CONTRACT = "resident.address-changed.v1"
NOON = 1_782_900_000_000
"""1 July 2026, 10:00 UTC, in milliseconds."""

GRANT, OTHER = bytes(range(16)), bytes(range(16, 32))


def event_id(number: int) -> str:
    """Return the id of an event."""
    return f"0199c0de-0000-7000-8000-{number:012x}"


def told(number: int = 1, **changes: Any) -> Disclosure:
    """Return that the tax office got an event about somebody in Ringelai."""
    one = Disclosure(
        subject=f"person-{number}",
        owner=RINGELAI,
        recipient=TAX,
        grants=(GRANT,),
        purposes=("tax",),
        event=event_id(number),
        fields=("cause", "new_address"),
        at_ms=NOON + number,
        topic=CONTRACT,
        partition=3,
        offset=number,
    )
    return one._replace(**changes)


def fetched(write: tuple[str, int, Record], offset: int = 0) -> Fetched:
    """Return what was written as it is read."""
    topic, partition, record = write
    assert topic == TOPIC
    return Fetched(topic, partition, offset, NOON, record.key, record.value, record.headers)
