"""The page of subscribers: who is behind, by how much against what was promised, and where to."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from bus.portal.judging import Finding, judged
from bus.portal.listing import Choice, Key, Listing, chosen, listed
from bus.portal.page import Page, Query, Sources
from bus.portal.picture import Picture
from bus.portal.viewer import Role
from bus.watch.rates import Trend
from bus.watch.survey import GroupState, Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a group reads of a topic.

    Args:
        group, topic: which.
        finding: what can be said of it.
        records: events that are unread.
        seconds: age of the oldest of them; None: nobody knows.
        lost: events that were deleted before they were read.
        trend: where the lag is going; None: not known yet.
        promise: how late it promised to be at the most, in seconds; None: nothing.
        moved: when it last made progress, in seconds since 1970; None: nobody knows.
        sent: events a second that it handles; None: not known yet.
        members: programs that read.
    """

    group: str
    topic: str
    finding: Finding
    records: int
    seconds: float | None
    lost: int
    trend: Trend | None
    promise: float | None
    moved: float | None
    sent: float | None
    members: int


_RANKS = {finding: rank for rank, finding in enumerate(Finding)}

KEYS: dict[str, Key[Row]] = {
    "state": lambda row: (_RANKS[row.finding], -(row.seconds or 0.0)),
    "group": lambda row: row.group,
    "topic": lambda row: row.topic,
    "records": lambda row: row.records,
    "seconds": lambda row: row.seconds,
    "promise": lambda row: row.promise,
    "moved": lambda row: row.moved,
    "members": lambda row: row.members,
}

USUAL = Choice(sort="state")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribers:
    """What the page shows.

    Args:
        at: when the bus was seen, in seconds since 1970; None: never yet.
        listing: the rows.
    """

    at: float | None
    listing: Listing[Row]


def view(picture: Picture | None, choice: Choice = USUAL) -> Subscribers:
    """Return what the page shows.

    Args:
        picture: the bus as it was last seen; None: never yet.
        choice: which rows; ``find`` looks into the names of groups and topics.
    """
    rows = _rows(picture, everything=choice.everything) if picture else ()
    return Subscribers(
        at=picture.survey.at if picture else None,
        listing=listed(rows, choice, name=lambda row: f"{row.group} {row.topic}", keys=KEYS),
    )


@lru_cache(maxsize=2)  # pages are asked for more often than the bus is looked at
def _rows(picture: Picture, *, everything: bool) -> Sequence[Row]:
    """Return a row for each subscription, as it was when the bus was seen."""
    return [
        _row(picture, group, one)
        for group in picture.groups(everything=everything)
        for one in group.subscriptions.values()
    ]


def _row(picture: Picture, group: GroupState, one: Subscription) -> Row:
    topic = picture.survey.topics.get(one.topic)
    return Row(
        group=one.group,
        topic=one.topic,
        finding=judged(one, topic.retention if topic else None, picture.survey.at),
        records=one.records,
        seconds=one.seconds,
        lost=one.lost,
        trend=picture.trend(one.group, one.topic),
        promise=one.promise,
        moved=one.moved,
        sent=picture.sent(one.group, one.topic),
        members=group.members,
    )


def _look(sources: Sources, query: Query) -> Subscribers:
    return view(sources.picture, chosen(query, KEYS, USUAL))


PAGE = Page(name="subscribers", path="/subscribers", role=Role.VIEWER, view=_look)
