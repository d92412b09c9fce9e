"""What grants need to know of the world: statements that verify, and who is who. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from bus.trust.grants.terms import Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A statement whose signatures were verified, as the journal has it.

    Args:
        kind: what it is about.
        issuer: the member that signed it.
        keys: the names of the issuer's keys that did.
        body: what it says.
        digest: SHA-256 of what was signed.
        number: of the journal's entry.
        at_ms: when the engine took it, in milliseconds since 1970.
    """

    kind: str
    issuer: str
    keys: frozenset[str]
    body: Mapping[str, Any]
    digest: bytes
    number: int
    at_ms: int


class Standing(Protocol):
    """Who is who, as far as the journal was read."""

    def is_active(self, member: str) -> bool:
        """Whether a member is there, and neither suspended nor gone."""

    def ars_of(self, member: str, day: date) -> str | None:
        """Return a municipality's official code on a day; None if it has none."""

    def may_decide_for(self, authority: str, ars: str) -> bool:
        """Whether an authority is entitled to decide for all members under a beginning of codes."""

    def needs_four_eyes(self, member: str) -> bool:
        """Whether a member wants two of its keys to approve a grant."""


def resting(standing: Standing, owner: Owner, recipient: str) -> str | None:
    """Return the member for whose standing a grant between these rests; None if it does not."""
    if not standing.is_active(owner.member):
        return owner.member
    if not standing.is_active(recipient):
        return recipient
    if owner.ars and not standing.may_decide_for(owner.member, owner.ars):
        return owner.member
    return None
