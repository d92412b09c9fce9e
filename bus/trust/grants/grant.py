"""A grant as a value: its terms and what became of them. Pure."""

from dataclasses import dataclass
from enum import IntEnum

from bus.trust.grants.terms import Terms

ID_BYTES = 16


class State(IntEnum):
    """What became of a request; that a grant's time is over is told by its terms alone."""

    REQUESTED = 0
    APPROVED = 1
    REFUSED = 2
    WITHDRAWN = 3
    REVOKED = 4
    ENDED = 5

    @property
    def word(self) -> str:
        """The state in lower case."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A grant, asked for at the least.

    Args:
        id: the first 16 bytes of the digest of the statement that asked for it.
        terms: what it says.
        state: what became of it.
        asked: the number of the journal's entry that asked for it.
        asked_ms: when it was asked for, in milliseconds since 1970, by the engine's clock.
        decided_ms: when it was approved, refused or withdrawn; None while it waits.
        ended_ms: when it was revoked or given up; None if it was not.
    """

    id: bytes
    terms: Terms
    state: State
    asked: int
    asked_ms: int
    decided_ms: int | None = None
    ended_ms: int | None = None

    def phase(self, at_ms: int) -> str:
        """Return the state's word at a time; of an approved one ``pending``, ``live``, ``expired``.

        Args:
            at_ms: a time since the last step, in milliseconds since 1970.
        """
        if self.state is not State.APPROVED:
            return self.state.word
        if at_ms < milliseconds(self.terms)[0]:
            return "pending"
        return "live" if at_ms < milliseconds(self.terms)[1] else "expired"


def grant_id(digest: bytes) -> bytes:
    """Return the id of the grant that a statement with this digest asks for."""
    return digest[:ID_BYTES]


def milliseconds(terms: Terms) -> tuple[int, int]:
    """Return from when and until when terms hold, in milliseconds since 1970."""
    return int(terms.since.timestamp()) * 1000, int(terms.until.timestamp()) * 1000
