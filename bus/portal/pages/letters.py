"""The page of dead letters: which topics hold some that wait; `bus.portal.desk` has the letters."""

from collections.abc import Mapping
from dataclasses import dataclass

from bus.portal.listing import Choice, Key, Listing, chosen, listed
from bus.portal.page import Page, Query, Sources
from bus.portal.states import State
from bus.portal.viewer import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A dead letter topic.

    Args:
        topic: its name.
        waiting: letters that nobody has decided about.
        state: whether somebody has to.
    """

    topic: str
    waiting: int
    state: State


KEYS: dict[str, Key[Row]] = {"topic": lambda row: row.topic, "waiting": lambda row: row.waiting}
USUAL = Choice(sort="waiting", down=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letters:
    """What the page shows.

    Args:
        at: when the bus was seen, in seconds since 1970; None: never yet.
        listing: the rows.
    """

    at: float | None
    listing: Listing[Row]


def view(dead: Mapping[str, int], at: float | None, choice: Choice = USUAL) -> Letters:
    """Return what the page shows.

    Args:
        dead: letters that wait, by dead letter topic.
        at: when that was seen.
        choice: which rows.
    """
    rows = (
        Row(topic=topic, waiting=count, state=State.WARNING if count else State.GOOD)
        for topic, count in dead.items()
    )
    return Letters(at=at, listing=listed(rows, choice, name=lambda row: row.topic, keys=KEYS))


def _look(sources: Sources, query: Query) -> Letters:
    survey = sources.picture.survey if sources.picture else None
    choice = chosen(query, KEYS, USUAL)
    return view(survey.dead if survey else {}, survey.at if survey else None, choice)


PAGE = Page(name="letters", path="/letters", role=Role.VIEWER, view=_look)
