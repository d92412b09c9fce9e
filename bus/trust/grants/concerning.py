"""Which grants are about whose data. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime

from bus.trust.grants.terms import Owner
from bus.trust.standing import Standing


def owner_at(standing: Standing, ars: str, at_ms: int) -> str | None:
    """Return the member whose data an event is that arrived then; None if nobody's.

    Args:
        standing: who is who.
        ars: the official code of the municipality that the event is about.
        at_ms: when it arrived, in milliseconds since 1970.
    """
    return standing.holder_of(ars, datetime.fromtimestamp(at_ms / 1000, UTC).date())


def is_owned(owner: Owner, member: str, ars: str) -> bool:
    """Whether a grant of this owner is about a member's data.

    Args:
        owner: whose data the grant is about.
        member: the member whose data it is.
        ars: the official code that it is about.
    """
    return ars.startswith(owner.ars) if owner.ars else owner.member == member


def is_ever_owned(owner: Owner, member: str, codes: Iterable[str]) -> bool:
    """Whether a grant is or was about a member's data, or the member's to decide on.

    Args:
        owner: whose data the grant is about.
        member: the member.
        codes: the official codes that it has or had.
    """
    return owner.member == member or (
        owner.ars != "" and any(code.startswith(owner.ars) for code in codes)
    )


def codes_of(standing: Standing, member: str) -> list[str]:
    """Return the official codes that a member has, had or will have."""
    found = standing.members.get(member)
    return [] if found is None else [code for code, _, _ in found.held()]
