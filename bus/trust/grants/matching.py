"""Which members get which fields of an event, and under which grants. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from bus.trust.grants.grant import State
from bus.trust.grants.holdings import Facts, Holdings, predicate
from bus.trust.grants.index import NOTHING, Index
from bus.trust.grants.parties import Standing, resting


class Granted(NamedTuple):
    """What one recipient gets of an event.

    Args:
        recipient: the member.
        fields: the names of the top-level fields, of all its grants together, sorted.
        grants: the ids of the grants that give them, in the order in which they were asked for.
    """

    recipient: str
    fields: tuple[str, ...]
    grants: tuple[bytes, ...]


class Matching:
    """Applies the grants that are in force to events.

    Args:
        standing: who is who; whoever is not active has grants that rest.
        holdings: where the grants are kept.
        index: those in force.
    """

    def __init__(self, standing: Standing, holdings: Holdings, index: Index) -> None:
        self._standing, self._holdings, self._index = standing, holdings, index

    def match(
        self, topic: str, owner: str, ars: str, values: Mapping[str, Any], at_ms: int
    ) -> list[Granted]:
        """Return who gets what of an event, in the order of the grants.

        Args:
            topic: the event's contract.
            owner: the member whose data it is.
            ars: the official code of the municipality that it is about; empty if there is none.
            values: its data, decoded.
            at_ms: now, in milliseconds since 1970.
        """
        found: dict[int, list[Facts]] = {}
        for number in self._index.find(topic, owner, ars, values):
            facts = self._holdings.facts(number)
            if facts.since <= at_ms < facts.until and self._holds(number, facts, values):
                found.setdefault(facts.recipient, []).append(facts)
        return [self._granted(grants) for grants in found.values()]

    def in_force(self, number: int, at_ms: int) -> bool:
        """Whether something flows under a grant at a time, if an event keeps to its rows."""
        facts = self._holdings.facts(number)
        is_time = facts.since <= at_ms < facts.until
        approved = self._holdings.state(number) is State.APPROVED
        return is_time and approved and not self._rests(facts)

    def _holds(self, number: int, facts: Facts, values: Mapping[str, Any]) -> bool:
        """Whether a grant that was found, and whose time it is, applies."""
        rest = self._index.rest(number)
        if rest != NOTHING and not predicate(rest)(values):
            return False
        return not self._rests(facts)

    def _rests(self, facts: Facts) -> bool:
        owner = self._holdings.owners[facts.owner]
        return resting(self._standing, owner, self._holdings.members[facts.recipient]) is not None

    def _granted(self, grants: list[Facts]) -> Granted:
        """Return what the grants of one recipient give together."""
        first, sets = grants[0], self._holdings.field_sets
        fields = sets[first.fields]
        if any(one.fields != first.fields for one in grants):
            fields = tuple(sorted({name for one in grants for name in sets[one.fields]}))
        return Granted(
            self._holdings.members[first.recipient], fields, tuple(one.id for one in grants)
        )
