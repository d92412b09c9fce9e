"""What the router asks of the journal: who is who, and who gets what. Pure."""

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple, Protocol

from bus.trust.grants.matching import Granted
from bus.trust.records import Key


class Standing(Protocol):
    """Who is who; `bus.trust.standing.Standing`. Times are milliseconds since 1970."""

    def key(self, key_id: str) -> Key | None:
        """Return a key by its name."""

    def fault_of(self, key_id: str, at: int) -> str | None:
        """Return why what a key signed does not count, if it was taken at a time."""

    def speaks_for(self, name: str, ars: str, day: date) -> bool:
        """Whether a system may say something about a municipality on a day."""

    def holder_of(self, ars: str, day: date) -> str | None:
        """Return the member that has an official code on a day."""


class Grants(Protocol):
    """Who gets what; `bus.trust.grants.book.Book`. Times are milliseconds since 1970."""

    def match(
        self, topic: str, owner: str, ars: str, values: Mapping[str, Any], at_ms: int
    ) -> list[Granted]:
        """Return who gets what of an event, each recipient once."""

    def in_force(self, grant: bytes, at_ms: int) -> bool:
        """Whether something can flow under a grant."""

    def purpose(self, grant: bytes) -> str:
        """Return what a grant is for."""


class JournalState(NamedTuple):
    """The journal as far as it was read.

    Args:
        standing: who is who after that entry.
        grants: who gets what after it.
        number: of the last entry that was read.
        digest: that entry's, hexadecimal.
    """

    standing: Standing
    grants: Grants
    number: int
    digest: str

    @property
    def name(self) -> str:
        """The value of ``stadtbus-state``: number and digest of the entry."""
        return f"{self.number}/{self.digest}"
