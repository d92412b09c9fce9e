"""The page of traffic load: a map of street segments, and the table that says the same."""

from dataclasses import dataclass

from bus.errors import BusError
from bus.portal.listing import Choice, Key, Listing, chosen, listed
from bus.portal.page import Page, Query, Sources
from bus.portal.traffic import Traffic
from bus.portal.viewer import Role
from bus.views.traffic import TOPIC, UNLISTED_CODE, Picture, Row

KEYS: dict[str, Key[Row]] = {
    "segment": lambda row: row.name or row.segment,
    "load": lambda row: row.average,
    "observations": lambda row: row.observations,
    "unlisted": lambda row: row.unlisted,
    "start": lambda row: row.start,
}

USUAL = Choice(sort="load", down=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficView:
    """What the page shows.

    Args:
        at: when the newest observation was made, in seconds since 1970; None: there is none.
        picture: the map; None: there is nothing to show yet.
        listing: the rows.
        unlisted: the code that counts for no average.
        trouble: why the view cannot be read; None if it can.
    """

    at: float | None
    picture: Picture | None
    listing: Listing[Row]
    unlisted: int
    trouble: BusError | None


def view(traffic: Traffic, choice: Choice = USUAL) -> TrafficView:
    """Return what the page shows.

    Args:
        traffic: the view as it was last read.
        choice: which rows.
    """
    rows = traffic.picture.rows if traffic.picture else ()
    return TrafficView(
        at=traffic.at,
        picture=traffic.picture,
        listing=listed(rows, choice, name=lambda row: f"{row.name} {row.segment}", keys=KEYS),
        unlisted=UNLISTED_CODE,
        trouble=traffic.trouble,
    )


def exists(sources: Sources) -> bool:
    """Whether somebody keeps the view on this bus."""
    return sources.picture is not None and TOPIC in sources.picture.survey.topics


def _look(sources: Sources, query: Query) -> TrafficView:
    return view(sources.traffic, chosen(query, KEYS, USUAL))


PAGE = Page(name="traffic", path="/traffic", role=Role.VIEWER, view=_look, listed=exists)
