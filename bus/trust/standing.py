"""Who is who now and who was who then: what the rest of the bus asks. Pure.

Times are milliseconds since 1970 by the engine's clock, which no signer can date back: a key is
asked about the time at which the engine took what it signed.
"""

from collections.abc import Iterator
from datetime import date

from bus.event import member_of
from bus.trust.records import ROOT, Key, Member, Record, System

UNKNOWN_KEY = "unknown-key"


class Standing:
    """Members, systems and keys, as the statements that took effect left them."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.systems: dict[str, System] = {}
        self.keys: dict[str, Key] = {}
        self.root: Key | None = None
        self._by_ars: dict[str, set[str]] = {}

    def copy(self) -> "Standing":
        """Return what is known now, for who looks at it while statements go on arriving."""
        copy = Standing()
        copy.members, copy.systems = self.members.copy(), self.systems.copy()
        copy.keys, copy.root = self.keys.copy(), self.root
        copy._by_ars = {ars: set(held) for ars, held in self._by_ars.items()}
        return copy

    def put(self, record: Record) -> None:
        """Put a record in the place of the one of the same name."""
        match record:
            case Key():
                self.keys[record.id] = record
                if record.owner == ROOT and record.revoked is None:
                    self.root = record
            case Member():
                self.members[record.id] = record
                for ars, _, _ in record.held():
                    self._by_ars.setdefault(ars, set()).add(record.id)
            case System():
                self.systems[record.id] = record

    def key(self, key_id: str) -> Key | None:
        """Return a key by its name."""
        return self.keys.get(key_id)

    def fault_of(self, key_id: str, at: int) -> str | None:
        """Return why what a key signed does not count, if it was taken at a time.

        Returns:
            None if it counts; else ``unknown-key``, ``not-yet-valid``, ``expired``, ``revoked``,
            ``retired`` (the system), ``suspended`` or ``left`` (the member).
        """
        key = self.keys.get(key_id)
        if key is None:
            return UNKNOWN_KEY
        if fault := key.fault_at(at):
            return fault
        return None if key.owner == ROOT else self._fault_of_owner(key.owner, at)

    def _fault_of_owner(self, owner: str, at: int) -> str | None:
        system = self.systems.get(owner)
        if system is not None and system.retired is not None and at >= system.retired:
            return "retired"
        phase = self.members[system.member if system else owner].phase_at(at)
        return None if phase == "active" else phase or "not-yet-valid"

    def counts(self, key_id: str, at: int) -> bool:
        """Whether what a key signed counts, if the engine took it at a time."""
        return self.fault_of(key_id, at) is None

    def signers_of(self, name: str, at: int) -> list[Key]:
        """Return the keys that a system's, or a member's, signatures could be made with then."""
        owner = self.systems.get(name) or self.members.get(name)
        if owner is None:
            return []
        return [self.keys[key_id] for key_id in owner.keys if self.counts(key_id, at)]

    def speaks_for(self, name: str, ars: str, day: date) -> bool:
        """Whether a member, or its system, may say something about a municipality on a day.

        It may for its own official code of that day, and an association for those of its members.

        Args:
            name: a member's or a system's id.
            ars: the municipality's official code, as the event names it.
            day: the day that the event arrived.
        """
        member = self.members.get(member_of(name) or name)
        if member is None:
            return False
        if member.ars_on(day) == ars:
            return True
        return member.member_class == "assoc" and any(
            one.ars_on(day) == ars and one.association_on(day) == member.id
            for one in self._once(ars)
        )

    def is_active(self, name: str) -> bool:
        """Whether a member is there, and neither suspended nor gone."""
        member = self.members.get(name)
        return member is not None and member.phase == "active"

    def ars_of(self, name: str, day: date) -> str | None:
        """Return a member's official code on a day; None if it has none, or is none."""
        member = self.members.get(name)
        return None if member is None else member.ars_on(day)

    def may_decide_for(self, authority: str, ars: str) -> bool:
        """Whether an authority has a mandate for all members under a beginning of codes."""
        member = self.members.get(authority)
        return member is not None and any(ars.startswith(one.ars) for one in member.mandates)

    def needs_four_eyes(self, name: str) -> bool:
        """Whether two of a member's keys have to approve a grant."""
        member = self.members.get(name)
        return member is not None and member.four_eyes

    def holder_of(self, ars: str, day: date) -> str | None:
        """Return the member that has an official code on a day; None if nobody has."""
        return next((m.id for m, begin, end in self.holders(ars) if begin <= day < end), None)

    def members_under(self, prefix: str, day: date) -> list[Member]:
        """Return the members whose official code of a day begins so, in the order of codes."""
        found = [(one.ars_on(day) or "", one) for one in self.members.values()]
        matching = [(ars, one) for ars, one in found if ars and ars.startswith(prefix)]
        return [one for _, one in sorted(matching, key=lambda pair: pair[0])]

    def holders(self, ars: str) -> Iterator[tuple[Member, date, date]]:
        """Yield the members that have or had an official code, with the days from and until."""
        for member in self._once(ars):
            for value, begin, end in member.held():
                if value == ars:
                    yield member, begin, end

    def _once(self, ars: str) -> list[Member]:
        """Return the members that have an official code, had it, or will have it."""
        return [self.members[name] for name in sorted(self._by_ars.get(ars, ()))]

    def systems_of(self, member: str) -> list[System]:
        """Return a member's systems, oldest first."""
        return [one for one in self.systems.values() if one.member == member]
