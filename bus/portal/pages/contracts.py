"""The page of contracts: a catalogue to search in."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from bus.errors import BusError
from bus.portal.catalogue import Known
from bus.portal.listing import LONGEST, Choice, Key, Listing, chosen, listed
from bus.portal.page import Page, Query, Sources
from bus.portal.picture import Picture
from bus.portal.viewer import Role

FILTERS = ("domain", "owner", "access", "level")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A contract; None and empty: not known, as the registry is away.

    Args:
        topic: its topic.
        titles: what it is called, by language.
        domain: what it is about, the first part of its topic.
        owner: the member that answers for it.
        access: ``open`` or ``restricted``.
        level: how versions have to fit to each other.
        versions: how many there are.
        readers: groups that read it; None: the bus was not seen yet.
        received: events a second; None: not known.
    """

    topic: str
    titles: Mapping[str, str]
    domain: str
    owner: str | None
    access: str | None
    level: str | None
    versions: int | None
    readers: int | None
    received: float | None


KEYS: dict[str, Key[Row]] = {
    "topic": lambda row: row.topic,
    "owner": lambda row: row.owner,
    "versions": lambda row: row.versions,
    "readers": lambda row: row.readers,
    "rate": lambda row: row.received,
}

USUAL = Choice(sort="topic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contracts:
    """What the page shows.

    Args:
        known: whether the registry told what there is.
        trouble: why it cannot be asked; None if it can.
        listing: the rows.
        wanted: what is filtered by, by name.
        choices: what can be filtered by, by name.
    """

    known: bool
    trouble: BusError | None
    listing: Listing[Row]
    wanted: Mapping[str, str]
    choices: Mapping[str, Sequence[str]]


def view(
    known: Known,
    picture: Picture | None,
    choice: Choice = USUAL,
    wanted: Mapping[str, str] | None = None,
) -> Contracts:
    """Return what the page shows: where the registry is away, the topics that were seen.

    Args:
        known: the contracts.
        picture: the bus as it was last seen; None: never yet.
        choice: which rows.
        wanted: what is filtered by, by name.
    """
    wanted = {name: value for name, value in (wanted or {}).items() if value}
    every = list(_rows(known, picture))
    found = [row for row in every if all(getattr(row, n) == v for n, v in wanted.items())]
    choice = replace(choice, also=tuple(wanted.items()))
    return Contracts(
        known=known.contracts is not None,
        trouble=known.trouble,
        listing=listed(found, choice, name=_searched, keys=KEYS),
        wanted=wanted,
        choices={
            name: sorted({value for row in every if (value := getattr(row, name))})
            for name in FILTERS
        },
    )


def _searched(row: Row) -> str:
    return " ".join((row.topic, *row.titles.values()))


def _rows(known: Known, picture: Picture | None) -> Iterator[Row]:
    readers = _readers(picture) if picture else {}
    contracts: Mapping[str, Mapping[str, Any]] = known.contracts or {}
    topics = list(contracts)
    if known.contracts is None and picture is not None:
        topics = [one.topic for one in picture.topics()]
    for topic in topics:
        contract = contracts.get(topic, {})
        yield Row(
            topic=topic,
            titles=contract.get("title", {}),
            domain=topic.partition(".")[0],
            owner=contract.get("owner"),
            access=contract.get("access"),
            level=contract.get("compatibility"),
            versions=len(contract["versions"]) if contract else None,
            readers=readers.get(topic, 0) if picture else None,
            received=picture.received(topic) if picture else None,
        )


@lru_cache(maxsize=1)  # the page is asked for more often than the bus is looked at
def _readers(picture: Picture) -> Mapping[str, int]:
    """Return how many groups read each topic."""
    return Counter(topic for group in picture.groups() for topic in group.subscriptions)


def _look(sources: Sources, query: Query) -> Contracts:
    wanted = {name: query.get(name, "")[:LONGEST] for name in FILTERS}
    return view(sources.contracts(), sources.picture, chosen(query, KEYS, USUAL), wanted)


PAGE = Page(name="contracts", path="/contracts", role=Role.VIEWER, view=_look)
