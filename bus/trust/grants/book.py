"""The grants of a bus: what statements made of them, and what flows under them now. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from bus.errors import NotFound
from bus.trust.grants.grant import Grant, State
from bus.trust.grants.granting import Granting, Step, Void
from bus.trust.grants.holdings import NEVER, Core, Holdings, conditions
from bus.trust.grants.index import Index
from bus.trust.grants.matching import Granted, Matching
from bus.trust.grants.parties import Standing, Verified
from bus.trust.grants.terms import Basis, Terms


class Book:
    """All grants, kept by the statements about them.

    Args:
        standing: who is who, as far as the journal was read.
    """

    def __init__(self, standing: Standing) -> None:
        self.holdings = Holdings()
        self.granting = Granting(standing, self.holdings)
        self._index = Index(self.holdings)
        self._matching = Matching(standing, self.holdings, self._index)
        self._in_force: bytearray = bytearray()
        self._next_end = NEVER

    def __len__(self) -> int:
        return len(self.holdings)

    def objection(self, statement: Verified) -> Void | None:
        """Return why a statement about grants would have no effect now; None if it would."""
        return self.granting.objection(statement)

    def apply(self, statement: Verified) -> Step | Void:
        """Let a statement about grants take effect, or say why it has none."""
        step = self.granting.apply(statement)
        if isinstance(step, Step):
            self._place(step.grant)
        return step

    def restore(self, grant: bytes, core: Core, state: State, signed: Iterable[str] = ()) -> None:
        """Take in the next grant as it was kept, in the order in which they were asked for."""
        number = self.holdings.add(grant, core, state)
        if keys := frozenset(signed):
            self.granting.restore(number, keys)
        self._place(number)

    def match(
        self, topic: str, owner: str, ars: str, values: Mapping[str, Any], at_ms: int
    ) -> list[Granted]:
        """Return who gets what of an event; see `Matching.match`."""
        return self._matching.match(topic, owner, ars, values, at_ms)

    def in_force(self, grant: bytes, at_ms: int) -> bool:
        """Whether something can flow under a grant at a time, in milliseconds since 1970."""
        number = self.holdings.find(grant)
        return number is not None and self._matching.in_force(number, at_ms)

    def flowing(self, at_ms: int) -> tuple[dict[str, dict[bytes, str]], int]:
        """Return under which grants something can flow at a time, and until when that is so.

        It looks at every grant: ask when the journal has changed, or that time has come.

        Args:
            at_ms: now, in milliseconds since 1970.

        Returns:
            The ids of the grants with their recipients, by topic; and the next time at which one
            begins or ends by its own terms.
        """
        found: dict[str, dict[bytes, str]] = {}
        change = NEVER
        for number in range(len(self.holdings)):
            if self.holdings.state(number) is not State.APPROVED:
                continue
            since, until, *_, grant = self.holdings.facts(number)
            change = min([change, *(time for time in (since, until) if time > at_ms)])
            if self._matching.in_force(number, at_ms):
                core = self.holdings.core(number)
                found.setdefault(core.topic, {})[grant] = core.recipient
        return found, change

    def purpose(self, grant: bytes) -> str:
        """Return what a grant is for.

        Raises:
            NotFound: nobody asked for such a grant.
        """
        number = self.holdings.find(grant)
        if number is None:
            raise NotFound(f"there is no grant {grant.hex()}")
        return self.holdings.purpose(number)

    def named(self, grant: bytes) -> Grant | None:
        """Return a grant by its id, without legal basis and times of its steps; None: no such."""
        number = self.holdings.find(grant)
        return None if number is None else self._grant(number)

    def approved(self, topic: str) -> Iterator[Grant]:
        """Yield the approved grants on a topic, without legal basis and times of their steps.

        These are not kept in memory.
        """
        for number in self.holdings.on(topic):
            if self.holdings.state(number) is State.APPROVED:
                yield self._grant(number)

    def _grant(self, number: int) -> Grant:
        core = self.holdings.core(number)
        since, until = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (core.since, core.until))
        terms = Terms(
            owner=core.owner,
            recipient=core.recipient,
            topic=core.topic,
            fields=core.fields,
            rows=conditions(core.rows.encode()),
            purpose=core.purpose,
            basis=Basis("", ""),
            since=since,
            until=until,
        )
        id_ = self.holdings.facts(number).id
        return Grant(id=id_, terms=terms, state=self.holdings.state(number), asked=0, asked_ms=0)

    def expire(self, at_ms: int) -> list[int]:
        """Take the grants whose time is over out of force, and return their numbers.

        They match nothing in any case; this keeps them from being looked at.
        """
        if at_ms < self._next_end:
            return []
        over, self._next_end = [], NEVER
        for number in [n for n, there in enumerate(self._in_force) if there]:
            until = self.holdings.facts(number).until
            if until <= at_ms:
                over.append(number)
                self._set(number, False)
            else:
                self._next_end = min(self._next_end, until)
        return over

    def _place(self, number: int) -> None:
        """Put a grant in force, or out of it, as its state wants."""
        self._in_force.extend(bytes(len(self.holdings) - len(self._in_force)))
        approved = self.holdings.state(number) is State.APPROVED
        if approved:
            self._next_end = min(self._next_end, self.holdings.facts(number).until)
        if approved != bool(self._in_force[number]):
            self._set(number, approved)

    def _set(self, number: int, in_force: bool) -> None:
        self._in_force[number] = in_force
        if in_force:
            self._index.add(number)
        else:
            self._index.remove(number)
