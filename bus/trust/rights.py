"""What systems may do on the engine, as rules that follow from the journal. Pure.

Nobody but the router reads shared topics, and what a member gets lies on feeds of its own: so what
its systems may read does not depend on grants. Every prefix ends in a dot, or one member's rights
would reach into those of a member whose name begins with its own.
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from bus.admin import Rule
from bus.trust.lockout import denials, lock_of
from bus.trust.records import System
from bus.trust.standing import Standing


class Right(NamedTuple):
    """A rule, and why it is there, in words."""

    rule: Rule
    why: str


def rights_of(system: System, contracts: Collection[str]) -> list[Right]:
    """Return what a system may do, and why, unless it is locked out.

    It needs nothing on the cluster, as who may write a topic may write idempotently, and no
    transactional id: neither publishers nor subscribers have transactions on the engine.

    Args:
        system: whose rights.
        contracts: the topics of the contracts that are in force.
    """
    return list(_rights(system, contracts))


def _rights(system: System, contracts: Collection[str]) -> Iterator[Right]:
    def may(operation: str, kind: str, name: str, *, prefixed: bool = True) -> Rule:
        return Rule(user=system.id, kind=kind, name=name, prefixed=prefixed, operation=operation)

    member = system.member
    for topic in system.publishes:
        if topic in contracts:
            rule = may("Write", "topic", topic, prefixed=False)
            yield Right(rule, f"{member} has registered it for this contract")
    yield Right(may("Read", "topic", "feed.open."), "open contracts are for everybody here")
    yield Right(may("Read", "topic", f"feed.{member}."), f"what {member} is granted")
    yield Right(may("Read", "group", f"{member}."), f"groups of {member}")
    for topics, why in (("dead", "set aside"), ("redrive", "re-driven")):
        for operation in ("Create", "Read", "Write"):
            rule = may(operation, "topic", f"{topics}.{member}.")
            yield Right(rule, f"what subscribers of {member} have {why}")


def wanted(standing: Standing, contracts: Collection[str], at: int) -> set[Rule]:
    """Return all rules that there shall be of the journal's systems.

    Args:
        standing: who is who.
        contracts: the topics of the contracts that are in force.
        at: now, in milliseconds since 1970.
    """
    rules: set[Rule] = set()
    for system in standing.systems.values():
        if lock_of(standing, system.id, at) is not None:
            rules.update(denials(system.id))
        else:
            rules.update(right.rule for right in _rights(system, contracts))
    return rules


def changes(
    standing: Standing, wanted: Collection[Rule], there: Collection[Rule]
) -> tuple[set[Rule], set[Rule]]:
    """Return the rules that are missing on an engine, and those that are too many.

    Too many are all that allow one of the journal's systems more than it may. Rules of users that
    are no systems are left alone, and so is what an administrator denies by hand: of denials, too
    many are only all of a lockout together, where the member was suspended once and is no more.

    Args:
        standing: who is who.
        wanted: what there shall be.
        there: the rules that are in force.
    """
    shall, are = set(wanted), set(there)
    surplus = {
        rule for rule in are if rule.allow and rule.user in standing.systems and rule not in shall
    }
    for system in standing.systems.values():
        if standing.members[system.member].was_suspended:
            lockout = set(denials(system.id))
            if lockout <= are and not lockout & shall:
                surplus |= lockout
    return shall - are, surplus
