"""The events that the benchmarks publish: made up, and the same for every contender."""

from collections.abc import Iterator
from datetime import date
from typing import Any

TOPIC = "address.building-changed.v1"
SYSTEM = "de.mun.110000000000.adressregister"


def addresses(count: int, run: str) -> Iterator[dict[str, Any]]:
    """Yield made-up addresses; ``run`` makes each run's ids its own."""
    for n in range(count):
        yield {
            "address_id": f"{run}/{n}",
            "municipality": "110000000000",
            "street": f"Straße {n % 1000}",
            "number": str(n % 200 + 1),
            "suffix": "a" if n % 7 == 0 else None,
            "postcode": f"{10115 + n % 900}",
            "place": "Berlin",
            "change": "REGISTERED",
            "cause": "UNKNOWN",
            "valid_from": date(2026, 1, 1 + n % 28),
            "basis": "STATED",
            "corrects": None,
        }
