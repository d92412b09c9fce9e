"""Why a recipient got an event, or did not: each grant between the two, and what held. Pure.

Conditions are named, values are not: who asks may not be entitled to see what the event says.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bus.trust.grants.grant import Grant
from bus.trust.grants.parties import Standing, resting
from bus.trust.grants.rows import Said, compiled, said


class Why(StrEnum):
    """Why a grant did not apply to an event."""

    REQUESTED = "requested"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    REVOKED = "revoked"
    ENDED = "ended"
    PENDING = "pending"
    EXPIRED = "expired"
    RESTING = "resting"
    ROW = "row"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One reason why a grant did not apply.

    Args:
        why: the reason.
        member: whose standing it is that lets the grant rest.
        row: the condition that does not hold.
    """

    why: Why
    member: str = ""
    row: Said | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a grant came to for an event; without an obstacle it applied."""

    grant: Grant
    obstacles: tuple[Obstacle, ...]

    @property
    def applies(self) -> bool:
        """Whether the event was given under this grant."""
        return not self.obstacles


def explain(
    grants: Iterable[Grant],
    standing: Standing,
    *,
    recipient: str,
    topic: str,
    owner: str,
    ars: str,
    values: Mapping[str, Any],
    at_ms: int,
) -> list[Finding]:
    """Return what each grant between a recipient and an event's owner came to.

    Args:
        grants: those to look through, as far as the journal was read.
        standing: who is who.
        recipient: who got the event, or did not.
        topic: the event's contract.
        owner: the member whose data it is.
        ars: the official code of the municipality that it is about; empty if there is none.
        values: its data, decoded.
        at_ms: the time that is asked about, in milliseconds since 1970, since the last step.
    """
    found = []
    for grant in grants:
        terms = grant.terms
        under = terms.owner.ars and ars.startswith(terms.owner.ars)
        concerns = under if terms.owner.ars else terms.owner.member == owner
        if concerns and terms.recipient == recipient and terms.topic == topic:
            found.append(Finding(grant, tuple(_obstacles(grant, standing, values, at_ms))))
    return found


def _obstacles(
    grant: Grant, standing: Standing, values: Mapping[str, Any], at_ms: int
) -> Iterable[Obstacle]:
    if (phase := grant.phase(at_ms)) != "live":
        yield Obstacle(Why(phase))
    if (member := resting(standing, grant.terms.owner, grant.terms.recipient)) is not None:
        yield Obstacle(Why.RESTING, member=member)
    for condition in grant.terms.rows:
        if not compiled([condition])(values):
            yield Obstacle(Why.ROW, row=said(condition))
