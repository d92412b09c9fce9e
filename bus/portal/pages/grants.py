"""The page of grants: who gets what of whose data, those of any state, the newest first."""

from collections.abc import Mapping
from dataclasses import dataclass

from bus.errors import BusError
from bus.portal.listing import LONGEST, ROWS, Choice, Listing, chosen
from bus.portal.page import Page, Query, Sources
from bus.portal.trust.archive import PHASES, Wanted
from bus.portal.trust.following import Following
from bus.portal.viewer import Role
from bus.trust.grants.grant import Grant
from bus.trust.grants.parties import resting

FILTERS = ("owner", "recipient", "topic", "state")

USUAL = Choice(sort="asked", down=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A grant in a list.

    Args:
        id: the first digits of its name, in hexadecimal.
        grant: the grant.
        phase: what it is now: one of `PHASES`, or ``resting``.
        recipient, owner: what people call them.
    """

    id: str
    grant: Grant
    phase: str
    recipient: str
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """What the page shows.

    Args:
        complete: whether the journal has been read to its end.
        trouble: why it cannot be read now; None if it can.
        listing: the rows.
        wanted: what was asked for, by the names in `FILTERS`.
        phases: what a grant may be.
    """

    complete: bool
    trouble: BusError | None
    listing: Listing[Row]
    wanted: Mapping[str, str]
    phases: tuple[str, ...] = PHASES


def view(trust: Following, now_ms: int, choice: Choice, asked: Mapping[str, str]) -> Grants:
    """Return what the page shows.

    Args:
        trust: who is who, and who gets what.
        now_ms: now, in milliseconds since 1970.
        choice: which part of the list.
        asked: what it is narrowed by, by the names in `FILTERS`.
    """
    return Grants(
        complete=trust.complete,
        trouble=trust.trouble,
        listing=listing(trust, now_ms, _wanted(trust, asked), choice),
        wanted=asked,
    )


def listing(trust: Following, now_ms: int, wanted: Wanted, choice: Choice) -> Listing[Row]:
    """Return a part of the grants that somebody wants to see."""
    total = trust.archive.count(wanted, now_ms)
    pages = max(-(-total // ROWS), 1)
    page = min(choice.page, pages)
    found = trust.archive.grants(wanted, now_ms, first=(page - 1) * ROWS, most=ROWS)
    return Listing(
        rows=[row(trust, one.grant, now_ms) for one in found],
        choice=Choice(sort=choice.sort, down=choice.down, page=page, also=choice.also),
        total=total,
        pages=pages,
    )


def row(trust: Following, grant: Grant, now_ms: int) -> Row:
    """Return a grant as a list shows it."""
    terms = grant.terms
    return Row(
        id=grant.id.hex(),
        grant=grant,
        phase=phase(trust, grant, now_ms),
        recipient=trust.name_of(terms.recipient),
        owner=trust.name_of(terms.owner.member),
    )


def phase(trust: Following, grant: Grant, now_ms: int) -> str:
    """Return what a grant is now; one in force may rest."""
    found, terms = grant.phase(now_ms), grant.terms
    rests = resting(trust.ledger.standing, terms.owner, terms.recipient) is not None
    return "resting" if found == "live" and rests else found


def _wanted(trust: Following, asked: Mapping[str, str]) -> Wanted:
    owner, recipient = asked.get("owner", ""), asked.get("recipient", "")
    state = asked.get("state", "")
    owners = _members(trust, owner)
    return Wanted(
        owners=owners,
        codes=[code for name in owners for code in trust.codes_of(name)],
        recipients=_members(trust, recipient),
        topic=asked.get("topic", ""),
        phase=state if state in PHASES else "",
    )


def _members(trust: Following, text: str) -> list[str]:
    """Return the members that have a text in their names or ids, and the text itself."""
    sought = text.casefold()
    if not sought:
        return []
    found = [one.id for one in trust.members() if sought in one.id or sought in one.name.casefold()]
    return [*found, text]


def _look(sources: Sources, query: Query) -> Grants:
    asked = {name: query.get(name, "").strip()[:LONGEST] for name in FILTERS}
    also = tuple((name, value) for name, value in asked.items() if value)
    choice = chosen(query, [USUAL.sort], USUAL)
    narrowed = Choice(sort=USUAL.sort, down=True, page=choice.page, also=also)
    return view(sources.trust, int(sources.now * 1000), narrowed, asked)


PAGE = Page(name="grants", path="/grants", role=Role.VIEWER, view=_look)
