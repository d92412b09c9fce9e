"""Grants with all that they say, for who looks at them; what flows is `matching`'s. Pure."""

from collections.abc import Callable
from dataclasses import replace

from bus.trust.grants.grant import Grant, State, grant_id
from bus.trust.grants.granting import Step
from bus.trust.grants.parties import Verified
from bus.trust.grants.terms import Terms

_DECIDED = (State.APPROVED, State.REFUSED, State.WITHDRAWN)


class History:
    """Grants as the steps of the journal leave them.

    Args:
        wanted: whether somebody wants to look at grants with such terms; there may be very many.
    """

    def __init__(self, wanted: Callable[[Terms], bool] = lambda _: True) -> None:
        self._wanted = wanted
        self._grants: dict[int, Grant] = {}
        self._digests: dict[int, str] = {}

    def take(self, statement: Verified, step: Step) -> None:
        """Take a step of a grant; to be called for each, in the journal's order."""
        if step.terms is not None:
            if self._wanted(step.terms):
                self._digests[step.grant] = statement.digest.hex()
                self._grants[step.grant] = Grant(
                    id=grant_id(statement.digest),
                    terms=step.terms,
                    state=step.state,
                    asked=statement.number,
                    asked_ms=statement.at_ms,
                )
        elif step.grant in self._grants and step.state is not State.REQUESTED:
            before, at = self._grants[step.grant], statement.at_ms
            if step.state in _DECIDED:
                after = replace(before, state=step.state, decided_ms=at)
            else:
                after = replace(before, state=step.state, ended_ms=at)
            self._grants[step.grant] = after

    def grants(self) -> list[Grant]:
        """Return the grants, in the order in which they were asked for."""
        return list(self._grants.values())

    def named(self, name: str) -> list[tuple[str, Grant]]:
        """Return the grants whose name begins so, with the digests of what asked for them."""
        return [
            (self._digests[number], grant)
            for number, grant in self._grants.items()
            if self._digests[number].startswith(name.lower())
        ]
