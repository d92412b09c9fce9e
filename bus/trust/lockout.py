"""Who is locked out of the bus, and the rules that do it. Pure."""

from typing import Literal

from bus.admin import Rule
from bus.trust.standing import Standing

Lock = Literal["denied", "gone"]

KINDS = ("topic", "group", "transactional-id", "cluster")


def lock_of(standing: Standing, system: str, at: int) -> Lock | None:
    """Return whether a system is locked out at a time (milliseconds since 1970), and how.

    Returns:
        ``gone`` if it is retired or its member has left, ``denied`` while its member is suspended;
        None otherwise, and for names that are no system's.
    """
    found = standing.systems.get(system)
    if found is None:
        return None
    phase = standing.members[found.member].phase_at(at)
    if phase == "left" or (found.retired is not None and at >= found.retired):
        return "gone"
    return "denied" if phase == "suspended" else None


def locks(standing: Standing, at: int) -> dict[str, Lock]:
    """Return all systems that are locked out at a time, and how."""
    found = {system: lock_of(standing, system, at) for system in standing.systems}
    return {system: lock for system, lock in found.items() if lock is not None}


def denials(system: str) -> list[Rule]:
    """Return the rules that deny a system everything."""
    return [Rule(user=system, kind=kind, name="*", operation="All", allow=False) for kind in KINDS]
