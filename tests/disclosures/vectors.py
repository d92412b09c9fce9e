"""Makes `docs/disclosure-vectors.json` anew: ``python -m tests.disclosures.vectors``."""

import json
from pathlib import Path
from typing import Any

from bus.disclosures.digest import Entry, entry_of, totals
from tests.disclosures.told import NOON, OTHER, WATER, told

FILE = Path(__file__).parents[2] / "docs" / "disclosure-vectors.json"

MIDNIGHT = NOON - NOON % 86_400_000 + 86_400_000

ENTRIES = [
    entry_of(one)
    for one in (
        told(1),
        told(2, fields=(), offset=None),
        told(3, partition=0, grants=(*told().grants, OTHER)),
        told(3, recipient=WATER, grants=(OTHER,), fields=("valid_from",)),
        told(4, at_ms=MIDNIGHT - 1),
        told(5, at_ms=MIDNIGHT),
    )
]


def vectors() -> dict[str, Any]:
    """Return the file's content."""
    return {
        "about": "Vectors of docs/trust.md, Reconciliation. Grants and digests are in hexadecimal.",
        "entries": [_entry(one) for one in ENTRIES],
        "totals": [
            {
                "day": line.day.isoformat(),
                "recipient": line.recipient,
                "topic": line.topic,
                "grants": [grant.hex() for grant in line.grants],
                "count": count,
                "digest": digest.hex(),
            }
            for line, count, digest in totals(ENTRIES)
        ],
    }


def _entry(one: Entry) -> dict[str, Any]:
    grants = [grant.hex() for grant in one.grants]
    return {**one._asdict(), "grants": grants, "digest": one.digest().hex()}


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), indent=1) + "\n", encoding="utf-8")
