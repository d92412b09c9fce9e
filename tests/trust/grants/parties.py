"""Members, terms and statements to try grants with."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from bus.trust.grants.granting import APPROVED, ASKED
from bus.trust.grants.parties import Verified

TOPIC = "resident.address-changed.v1"
OWNER = "de.mun.092720140140"
AUTHORITY = "de.state.09"
RECIPIENT = "de.agency.finanzamt"

TERMS: Mapping[str, Any] = {
    "owner": {"member": OWNER},
    "recipient": RECIPIENT,
    "topic": TOPIC,
    "fields": ["cause", "new_address"],
    "rows": [],
    "purpose": "tax",
    "basis": {"text": "Für die Grundsteuer.", "norm": "§ 34 Abs. 1 BMG"},
    "from": "2026-01-01T00:00:00Z",
    "to": "2027-01-01T00:00:00Z",
}
"""A grant that is all right."""

NOW = 1_780_000_000_000
"""A time at which `TERMS` hold, in milliseconds since 1970: in May 2026."""

LATER = 1_800_000_000_000
"""A time after which they do: in January 2027."""


@dataclass
class World:
    """Who is who in a test."""

    inactive: set[str] = field(default_factory=set)
    authorities: set[tuple[str, str]] = field(default_factory=lambda: {(AUTHORITY, "09")})
    four_eyes: set[str] = field(default_factory=set)

    def is_active(self, member: str) -> bool:
        return member not in self.inactive

    def ars_of(self, member: str, day: date) -> str | None:
        code = member.rpartition(".")[2]
        return code if len(code) == 12 else None

    def may_decide_for(self, authority: str, ars: str) -> bool:
        return (authority, ars) in self.authorities

    def needs_four_eyes(self, member: str) -> bool:
        return member in self.four_eyes


def terms(**changes: Any) -> dict[str, Any]:
    """Return terms as JSON that differ from `TERMS`; ``from`` is written ``from_`` here."""
    return {**TERMS, **{name.rstrip("_"): value for name, value in changes.items()}}


def asked(said: Mapping[str, Any], *, number: int = 1, at_ms: int = NOW) -> Verified:
    """Return a recipient's request."""
    text = json.dumps([said, number], sort_keys=True).encode()
    return Verified(
        kind=ASKED,
        issuer=said["recipient"],
        keys=frozenset({"r1"}),
        body=said,
        digest=hashlib.sha256(text).digest(),
        number=number,
        at_ms=at_ms,
    )


def decided(
    request: Verified,
    kind: str = APPROVED,
    *,
    by: str = OWNER,
    keys: frozenset[str] = frozenset({"o1"}),
    at_ms: int = NOW,
    **more: object,
) -> Verified:
    """Return a decision about a request."""
    body = {"grant": request.digest.hex(), **more}
    digest = hashlib.sha256(json.dumps([body, kind, by, sorted(keys)]).encode()).digest()
    return Verified(
        kind=kind, issuer=by, keys=keys, body=body, digest=digest, number=2, at_ms=at_ms
    )
