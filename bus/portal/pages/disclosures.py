"""The page of disclosures: who was told what of whom, for those whom that concerns. Pure.

`bus.portal.disclosing` asks the store and answers; here is what is asked, and what each may see.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from bus.disclosures import TOPIC
from bus.disclosures.question import Found, Question
from bus.errors import InvalidInput
from bus.portal.masking import MASK
from bus.portal.page import Page
from bus.portal.viewer import Role, Viewer

_EPOCH, _MS = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What somebody may see.

    Args:
        member: what concerns this member alone; None: all, as an operator does.
        clear: nothing is masked.
    """

    member: str | None
    clear: bool


def sight_of(viewer: Viewer, *, unmasked: bool) -> Sight | None:
    """Return what somebody may see; None: nothing.

    Args:
        viewer: who looks.
        unmasked: has given a reason for seeing it without masks, and may.
    """
    if viewer.officer_of:
        return Sight(member=viewer.officer_of, clear=True)
    if viewer.role >= Role.OPERATOR:
        return Sight(member=None, clear=unmasked)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody has written into the form; empty: it does not matter.

    Args:
        owner, recipient: members.
        topic: a contract's.
        purpose: a word of the vocabulary.
        subject: whom it is about, as the source names them.
        event: an id.
        since, until: days (UTC), both of them included.
    """

    owner: str = ""
    recipient: str = ""
    topic: str = ""
    purpose: str = ""
    subject: str = ""
    event: str = ""
    since: str = ""
    until: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Asked":
        """Return what the parameters of an address ask for."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: query.get(name, "").strip() for name in names})

    @property
    def filled(self) -> dict[str, str]:
        """What is not empty, by name."""
        named = {field.name: str(getattr(self, field.name)) for field in fields(self)}
        return {name: value for name, value in named.items() if value}

    def after(self, mark: object) -> str:
        """Return the parameters of the address where the next part is."""
        return urlencode({**self.filled, "before": str(mark)})

    def question(self, sight: Sight) -> Question:
        """Return what is asked of the store, no more than somebody may see.

        What is masked cannot be asked for: else one could find it out by trying.

        Raises:
            InvalidInput: what should be a day is none.
        """
        since = _day(self.since, "since")
        until = _day(self.until, "until")
        return Question(
            member=sight.member,
            owner=self.owner or None,
            recipient=self.recipient or None,
            topic=self.topic or None,
            purpose=self.purpose or None,
            subject=self.subject or None if sight.clear else None,
            event=self.event or None if sight.clear else None,
            since_ms=None if since is None else begin_ms(since),
            until_ms=None if until is None else begin_ms(until) + timedelta(days=1) // _MS,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A disclosure as somebody may see it.

    Args:
        at: when it was made, in seconds since 1970.
        owner, recipient, topic: whose data, who got it, of which contract.
        purposes, fields, grants: for what, which parts, under which grants.
        event: the id of the record on the feed.
        subject: whom it is about, as the source names them; None: the recipient does not know.
        ended: it took back what was given before.
    """

    at: float
    owner: str
    recipient: str
    topic: str
    purposes: tuple[str, ...]
    fields: tuple[str, ...]
    grants: tuple[str, ...]
    event: str
    subject: str | None
    ended: bool


def row(found: Found, sight: Sight) -> Row:
    """Return a disclosure as somebody may see it."""
    one = found.disclosure
    theirs = sight.member in (None, one.owner)
    return Row(
        at=one.at_ms / 1000,
        owner=one.owner,
        recipient=one.recipient,
        topic=one.topic,
        purposes=one.purposes,
        fields=one.fields,
        grants=tuple(grant.hex() for grant in one.grants),
        event=one.event if sight.clear else MASK,
        subject=(one.subject if sight.clear else MASK) if theirs else None,
        ended=not one.fields,
    )


def day(text: str) -> date:
    """Read a day.

    Raises:
        InvalidInput: it is none.
    """
    found = _day(text, "day")
    if found is None:
        raise _no_day(text, "day")
    return found


def begin_ms(day: date) -> int:
    """Return when a day begins (UTC), in milliseconds since 1970."""
    return (datetime(day.year, day.month, day.day, tzinfo=UTC) - _EPOCH) // _MS


def _day(text: str, where: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _no_day(text, where) from None


def _no_day(text: str, where: str) -> InvalidInput:
    return InvalidInput(f"{text[:40]} is no day", where=where, remedy="write it like 2026-07-01")


PAGE = Page(name="disclosures", path="/disclosures", role=Role.VIEWER, view=None)

__all__ = ["PAGE", "TOPIC", "Asked", "Row", "Sight", "begin_ms", "day", "row", "sight_of"]
