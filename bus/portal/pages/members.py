"""The page of members: who belongs to the bus, and until when their keys count."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from bus.errors import BusError
from bus.portal.listing import Choice, Key, Listing, chosen, listed
from bus.portal.page import Page, Query, Sources
from bus.portal.states import State
from bus.portal.trust.following import Following
from bus.portal.viewer import Role

SOON = 60 * 86_400.0
"""Seconds before a member's last key ends from which somebody should look at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A member.

    Args:
        id: its id.
        name: what people call it.
        member_class: the class in its id.
        ars: its official code of today; empty if it has none.
        phase: ``active``, ``suspended`` or ``left``.
        until: until when one of its keys counts, in seconds since 1970; None: none counts.
        state: whether somebody should look at it.
    """

    id: str
    name: str
    member_class: str
    ars: str
    phase: str
    until: float | None
    state: State


KEYS: dict[str, Key[Row]] = {
    "name": lambda row: row.name.casefold(),
    "class": lambda row: row.member_class,
    "ars": lambda row: row.ars or None,
    "until": lambda row: row.until,
}

USUAL = Choice(sort="name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """What the page shows.

    Args:
        complete: whether the journal has been read to its end.
        trouble: why it cannot be read now; None if it can.
        listing: the rows.
    """

    complete: bool
    trouble: BusError | None
    listing: Listing[Row]


def view(trust: Following, now: float, choice: Choice = USUAL) -> Members:
    """Return what the page shows.

    Args:
        trust: who is who.
        now: seconds since 1970.
        choice: which rows.
    """
    return Members(
        complete=trust.complete,
        trouble=trust.trouble,
        listing=listed(
            rows(trust, now),
            choice,
            name=lambda row: f"{row.name} {row.id} {row.ars}",
            keys=KEYS,
        ),
    )


def rows(trust: Following, now: float) -> Iterable[Row]:
    """Yield a row for each member."""
    day = datetime.fromtimestamp(now, UTC).date()
    for one in trust.members():
        until = counts_until(trust, one.keys, now)
        yield Row(
            id=one.id,
            name=one.name,
            member_class=one.member_class,
            ars=one.ars_on(day) or "",
            phase=one.phase,
            until=until,
            state=_state(one.phase, until, now),
        )


def counts_until(trust: Following, keys: Iterable[str], now: float) -> float | None:
    """Return until when one of some keys counts, in seconds since 1970; None: none does."""
    at, ends = int(now * 1000), list[float]()
    for name in keys:
        key = trust.key(name)
        if key is not None and key.fault_at(at) is None:
            ends.append(float("inf") if key.until is None else key.until / 1000)
    return max(ends, default=None)


def _state(phase: str, until: float | None, now: float) -> State:
    if phase != "active":
        return State.QUIET if phase == "left" else State.WARNING
    if until is None:
        return State.BAD
    return State.WARNING if until - now < SOON else State.GOOD


def _look(sources: Sources, query: Query) -> Members:
    return view(sources.trust, sources.now, chosen(query, KEYS, USUAL))


PAGE = Page(name="members", path="/members", role=Role.VIEWER, view=_look)
