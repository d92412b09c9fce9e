"""The page of topics: what flows where, how much is kept, and since when nothing came."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from bus.portal.listing import Choice, Key, Listing, chosen, listed
from bus.portal.page import Page, Query, Sources
from bus.portal.picture import Picture, is_hidden
from bus.portal.states import State
from bus.portal.viewer import Role
from bus.watch.survey import TopicState

FRESH = 60.0
"""Seconds since a topic's last event in which something counts as flowing there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A topic.

    Args:
        topic: its name.
        titles: what its contract calls it, by language; nothing if no contract is known.
        own: it is the bus's own.
        state: whether something flows; a warning where its contract expects more.
        expected: in how many seconds its contract expects an event; None: it does not say, or
            nobody knows.
        partitions: how many it has.
        received: events a second; None: not known yet.
        records: events that are stored.
        total: events that it ever got.
        newest: when the last one came, in seconds since 1970; None: never, or nobody knows.
        size: bytes; None: nobody knows.
        retention: seconds; None: for ever, by size only, or nobody knows.
    """

    topic: str
    titles: Mapping[str, str]
    own: bool
    state: State
    expected: float | None
    partitions: int
    received: float | None
    records: int
    total: int
    newest: float | None
    size: int | None
    retention: float | None


KEYS: dict[str, Key[Row]] = {
    "topic": lambda row: row.topic,
    "rate": lambda row: row.received,
    "records": lambda row: row.records,
    "newest": lambda row: row.newest,
    "size": lambda row: row.size,
    "retention": lambda row: row.retention,
}

USUAL = Choice(sort="topic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """What the page shows.

    Args:
        at: when the bus was seen, in seconds since 1970; None: never yet.
        listing: the rows.
    """

    at: float | None
    listing: Listing[Row]


def view(picture: Picture | None, choice: Choice = USUAL) -> Topics:
    """Return what the page shows.

    Args:
        picture: the bus as it was last seen; None: never yet.
        choice: which rows.
    """
    found = rows(picture, everything=choice.everything) if picture else ()
    return Topics(
        at=picture.survey.at if picture else None,
        listing=listed(found, choice, name=lambda row: row.topic, keys=KEYS),
    )


@lru_cache(maxsize=2)  # pages are asked for more often than the bus is looked at
def rows(picture: Picture, *, everything: bool) -> Sequence[Row]:
    """Return a row for each topic, as it was when the bus was seen.

    Args:
        picture: the bus.
        everything: the bus's own, too.
    """
    now = picture.survey.at
    silent = {one.topic for one in picture.silent(now)}
    return [
        _row(picture, one, now, silent=one.topic in silent)
        for one in picture.topics(everything=everything)
    ]


def _row(picture: Picture, one: TopicState, now: float, *, silent: bool) -> Row:
    expected = picture.expected.get(one.topic)
    received = picture.received(one.topic)
    flowing = bool(received) or (one.newest is not None and now - one.newest < FRESH)
    return Row(
        topic=one.topic,
        titles=picture.titles(one.topic),
        own=is_hidden(one.topic),
        state=_state(flowing=flowing, silent=silent),
        expected=expected.interval if expected else None,
        partitions=one.partitions,
        received=received,
        records=one.records,
        total=one.end,
        newest=one.newest,
        size=one.size,
        retention=one.retention,
    )


def _state(*, flowing: bool, silent: bool) -> State:
    if silent:
        return State.WARNING
    return State.GOOD if flowing else State.QUIET


def _look(sources: Sources, query: Query) -> Topics:
    return view(sources.picture, chosen(query, KEYS, USUAL))


PAGE = Page(name="topics", path="/topics", role=Role.VIEWER, view=_look)
