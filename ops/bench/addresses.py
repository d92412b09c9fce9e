"""The events that typed contenders publish and read: made up, each one a function of its number."""

from collections.abc import Iterator
from datetime import date
from typing import Any

KEYS = 10_000
"""Addresses that events are about, in turn."""

PARTITIONS = 3
"""Of the shipped contract."""


def address(n: int) -> dict[str, Any]:
    """Return the data of event number ``n``."""
    return {
        "address_id": key(n),
        "municipality": "110000000000",
        "change": "REGISTERED" if n < KEYS else "RENUMBERED",
        "street": f"Straße {n % 1000}",
        "number": str(n // KEYS + 1),
        "suffix": "a" if n % 7 == 0 else None,
        "postcode": f"{10115 + n % 900}",
        "place": "Berlin",
        "cause": "UNKNOWN",
        "valid_from": date(2026, 1, 1 + n % 28),
        "basis": "STATED",
        "corrects": None,
    }


def addresses(count: int, first: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the data of so many events."""
    return map(address, range(first, first + count))


def key(n: int) -> str:
    """Return the key of event number ``n``."""
    return f"DEBE-{n % KEYS:016d}"


def id_of(n: int) -> str:
    """Return an id from which `number_of` finds the number again."""
    return f"{n:08x}-0000-7000-8000-000000000000"


def number_of(id_: str) -> int:
    """Return the number of the event with an id that `id_of` made."""
    return int(id_[:8], 16)
