"""The page of topics whose events can be looked at."""

from dataclasses import dataclass

from bus.portal.listing import Choice, Key, Listing, chosen, listed
from bus.portal.page import Page, Query, Sources
from bus.portal.pages.topics import Row, rows
from bus.portal.picture import Picture
from bus.portal.viewer import Role

KEYS: dict[str, Key[Row]] = {
    "topic": lambda row: row.topic,
    "rate": lambda row: row.received,
    "newest": lambda row: row.newest,
}

USUAL = Choice(sort="topic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tails:
    """What the page shows.

    Args:
        at: when the bus was seen, in seconds since 1970; None: never yet.
        listing: the topics.
    """

    at: float | None
    listing: Listing[Row]


def view(picture: Picture | None, choice: Choice = USUAL) -> Tails:
    """Return what the page shows.

    Args:
        picture: the bus as it was last seen; None: never yet.
        choice: which rows.
    """
    found = rows(picture, everything=choice.everything) if picture else ()
    return Tails(
        at=picture.survey.at if picture else None,
        listing=listed(found, choice, name=lambda row: row.topic, keys=KEYS),
    )


def _look(sources: Sources, query: Query) -> Tails:
    return view(sources.picture, chosen(query, KEYS, USUAL))


PAGE = Page(name="tail", path="/tail", role=Role.OPERATOR, view=_look)
