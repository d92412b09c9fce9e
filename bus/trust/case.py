"""A statement that is judged, and what it meets: who signed it, and how it is refused. Pure."""

from dataclasses import dataclass
from typing import NoReturn

from bus.errors import StatementRefused
from bus.trust.standing import Standing
from bus.trust.statements import Statement

NOT_ENTITLED = "not-entitled"
UNKNOWN, STATE, DATES, IN_USE = "unknown", "state", "dates", "in-use"
"""Why a statement has no effect: stable words for counting."""


@dataclass(frozen=True, slots=True)
class Case:
    """A statement and what it meets.

    Args:
        statement: what is to be judged.
        standing: who is who before it.
        at: when the engine took it, in milliseconds since 1970.
        number: of the journal's entry that carries it.
    """

    statement: Statement
    standing: Standing
    at: int
    number: int

    def is_signed_by_root(self) -> bool:
        """Whether the root's key of now signed it."""
        root = self.standing.root
        return root is not None and self.statement.is_signed_by(root.public)

    def is_signed_by(self, name: str) -> bool:
        """Whether a key that a member or system may sign with now did."""
        return bool(self.signers(name))

    def signers(self, name: str) -> list[str]:
        """Return the names of the keys, of those that a member may sign with now, that did."""
        keys = self.standing.signers_of(name, self.at)
        return [key.id for key in keys if self.statement.is_signed_by(key.public)]

    def require_root(self) -> None:
        """Refuse what the root has not signed."""
        if not self.is_signed_by_root():
            raise self.not_entitled("the root's key")

    def require_member(self, member: str, *, or_root: bool = False) -> None:
        """Refuse what none of a member's keys has signed."""
        if not (self.is_signed_by(member) or (or_root and self.is_signed_by_root())):
            whom = f"a key of {member} that counts now"
            raise self.not_entitled(f"{whom}, nor the root's" if or_root else whom)

    def not_entitled(self, whom: str) -> StatementRefused:
        """Return the refusal of what is not signed by who may say it."""
        return StatementRefused(
            f"is not signed by {whom}", reason=NOT_ENTITLED, where=self.statement.kind
        )

    def refuse(self, reason: str, what: str, *, remedy: str = "") -> NoReturn:
        """Refuse what is signed by who may say it, and is not possible."""
        raise StatementRefused(what, reason=reason, where=self.statement.kind, remedy=remedy)
