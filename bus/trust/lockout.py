"""Locking systems out of the engine, and letting them in again, as the ledger says.

Denied first, which open connections feel at their next request, then the password is taken, if the
system is gone for good. A suspended system keeps its password: secrets are shown once, and it will
need it again. What stands on the engine is looked at each time, so what somebody changed there is
put right, too.
"""

import logging
from collections.abc import Collection, Mapping
from typing import Literal

from bus.admin import Access, Rule
from bus.kafka import require_rules
from bus.settings import KafkaSettings
from bus.trust.standing import Standing

log = logging.getLogger(__name__)

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


def changes(standing: Standing, rules: Collection[Rule], at: int) -> tuple[list[Rule], list[Rule]]:
    """Return the rules that are missing on an engine, and those that are too many.

    What an administrator denies by hand stays: too many are only all of a system's denials
    together, and only where its member was suspended once and is not any more.

    Args:
        standing: who is who.
        rules: those in force on the engine.
        at: now, in milliseconds since 1970.
    """
    there, wanted = set(rules), locks(standing, at)
    missing: set[Rule] = set()
    surplus: set[Rule] = set()
    for system in standing.systems.values():
        ours = set(denials(system.id))
        if system.id in wanted:
            missing |= ours - there
        elif ours <= there and standing.members[system.member].was_suspended:
            surplus |= ours
    return sorted(missing), sorted(surplus)


async def settle(kafka: KafkaSettings, standing: Standing, at: int) -> None:
    """Have the engine deny whom the ledger locks out, and let in whom it lets in again.

    Args:
        kafka: how to reach the engine, as somebody who may alter the cluster.
        standing: who is who.
        at: now, in milliseconds since 1970.

    Raises:
        NotAuthorised: who asks may not alter the cluster.
        BusUnavailable: the engine cannot be reached.
    """
    await require_rules(kafka)
    async with Access(kafka) as access:
        missing, surplus = changes(standing, await access.rules(), at)
        await access.add_rules(missing)
        for system in sorted({rule.user for rule in missing}):
            log.info("%s is locked out", system)
        await access.remove_rules(surplus)
        for system in sorted({rule.user for rule in surplus}):
            log.info("%s is let in again", system)
        await _take_passwords(access, locks(standing, at))


async def _take_passwords(access: Access, wanted: Mapping[str, Lock]) -> None:
    gone = {system for system, lock in wanted.items() if lock == "gone"}
    for system in sorted(gone & set(await access.users() if gone else ())):
        await access.remove_passwords(system)
        log.info("%s is gone: its password was taken", system)
