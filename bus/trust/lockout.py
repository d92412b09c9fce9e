"""Locking systems out of the engine, and letting them in again, as the ledger says.

Denied first, which open connections feel at their next request, then the password is taken, if the
system is gone for good. A suspended system keeps its password: secrets are shown once, and it will
need it again. What stands on the engine is looked at each time, so what somebody changed there is
put right, too.
"""

import logging
from collections.abc import Mapping
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


async def settle(kafka: KafkaSettings, standing: Standing, at: int) -> None:
    """Have the engine deny whom the ledger locks out, and nobody else whom it knows.

    Args:
        kafka: how to reach the engine, as somebody who may alter the cluster.
        standing: who is who.
        at: now, in milliseconds since 1970.

    Raises:
        NotAuthorised: who asks may not alter the cluster.
        BusUnavailable: the engine cannot be reached.
    """
    wanted = locks(standing, at)
    await require_rules(kafka)
    async with Access(kafka) as access:
        await _deny(access, standing, wanted)
        gone = {system for system, lock in wanted.items() if lock == "gone"}
        for system in sorted(gone & set(await access.users() if gone else ())):
            await access.remove_passwords(system)
            log.info("%s is gone: its password was taken", system)


async def _deny(access: Access, standing: Standing, wanted: Mapping[str, Lock]) -> None:
    there = set(await access.rules())
    for system in standing.systems:
        ours = set(denials(system))
        if system in wanted and (missing := ours - there):
            await access.add_rules(sorted(missing))
            log.info("%s is locked out", system)
        elif system not in wanted and (left := ours & there):
            await access.remove_rules(sorted(left))
            log.info("%s is let in again", system)
