"""What the pages of one member and of one grant show."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from bus.errors import BusError
from bus.portal.language import Language
from bus.portal.listing import Listing
from bus.portal.pages.grants import USUAL, Row, listing, row
from bus.portal.pages.members import counts_until
from bus.portal.trust.archive import Named, Taken, Wanted
from bus.portal.trust.following import Following
from bus.portal.trust.forms import POSSIBLE
from bus.portal.trust.words import language
from bus.portal.unmasking import Masks
from bus.trust.grants.plain import plain
from bus.trust.records import Key, Member, System

MOST_SYSTEMS = 200
"""Systems of a member that its page shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyView:
    """A member's key, and why it does not count; empty if it does."""

    key: Key
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemView:
    """A member's system; until when one of its keys counts, in seconds since 1970."""

    system: System
    until: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberView:
    """What the page of a member shows.

    Args:
        member: the member.
        ars: its official code of today; None if it has none.
        association: the association that it belongs to today; None if to none.
        keys: the newest first.
        systems: `MOST_SYSTEMS` at the most; `more` are left out.
        gives: who gets what of its data.
        gets: what it gets.
    """

    member: Member
    ars: str | None
    association: str | None
    keys: Sequence[KeyView]
    systems: Sequence[SystemView]
    more: int
    gives: Listing[Row]
    gets: Listing[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Real events as the recipient of a grant would get them.

    Args:
        rows: of each event the time, in seconds since 1970, and the fields as pairs of texts.
        masks: what is masked; None where nothing could be read.
        trouble: why there are none; None if they could be read.
    """

    rows: Sequence[tuple[float, Sequence[tuple[str, str]]]]
    masks: Masks | None
    trouble: BusError | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantView:
    """What the page of a grant shows.

    Args:
        name: the digest of what asked for it, in hexadecimal.
        row: the grant as lists show it.
        words: what it says, in sentences.
        steps: what became of it, oldest first.
        possible: the steps that it can take now, as kinds of statements.
        waiting: an owner that wants four eyes has signed once.
        shown: real events; None: who looks may not see any.
    """

    name: str
    row: Row
    words: Sequence[str]
    steps: Sequence[Taken]
    possible: Sequence[str]
    waiting: bool
    shown: Shown | None


def member_view(trust: Following, name: str, now_ms: int) -> MemberView | None:
    """Return what the page of a member shows; None: there is none.

    Args:
        trust: who is who, and who gets what.
        name: the member's id.
        now_ms: now, in milliseconds since 1970.
    """
    member = trust.member(name)
    if member is None:
        return None
    today: date = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    systems = trust.systems_of(name)
    gives = Wanted(owners=[name], codes=trust.codes_of(name))
    gets = Wanted(recipients=[name])
    return MemberView(
        member=member,
        ars=member.ars_on(today),
        association=member.association_on(today),
        keys=[
            KeyView(key=key, fault=key.fault_at(now_ms) or "")
            for key in map(trust.key, reversed(member.keys))
            if key is not None
        ],
        systems=[
            SystemView(system=one, until=counts_until(trust, one.keys, now_ms / 1000))
            for one in systems[:MOST_SYSTEMS]
        ],
        more=max(len(systems) - MOST_SYSTEMS, 0),
        gives=listing(trust, now_ms, gives, USUAL),
        gets=listing(trust, now_ms, gets, USUAL),
    )


def grant_view(
    trust: Following,
    named: Named,
    say: Language,
    title: str | None,
    shown: Shown | None,
    now_ms: int,
) -> GrantView:
    """Return what the page of a grant shows.

    Args:
        trust: who is who.
        named: the grant.
        say: the reader's language.
        title: what people call its contract; its topic if None.
        shown: real events.
        now_ms: now, in milliseconds since 1970.
    """
    terms, found = named.grant.terms, row(trust, named.grant, now_ms)
    steps = trust.archive.steps(named.name)
    return GrantView(
        name=named.name,
        row=found,
        words=plain(terms, language(say), name=trust.name_of, title=title),
        steps=steps,
        possible=POSSIBLE.get(found.phase, ()),
        waiting=found.phase == "requested" and len(steps) > 1,
        shown=shown,
    )
