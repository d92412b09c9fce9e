"""Whether a campaign's promises were kept, from what everybody saw: pure.

Nothing is judged by counts, behind which a loss can hide with a repeat beside it: ids are compared.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

Ids = Mapping[str, Sequence[str]]
"""Ids of events by key, in order."""


class Promise(StrEnum):
    """What may be broken."""

    LOST = "lost"
    REORDERED = "reordered"
    APPLIED_TWICE = "applied twice"
    REPEATED = "repeated without a change of hands"
    GIVEN_TWICE = "given twice"
    DISAGREED = "readers disagree"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One promise that was not kept.

    Args:
        promise: which.
        place: where it showed: the topic, a handler, the address book, the journal.
        what: the key or the id.
    """

    promise: Promise
    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what} {self.promise}"


class Delivery(NamedTuple):
    """An event that reached a handler.

    Args:
        tenure: counts the times that a partition came into somebody's hands.
        key: the event's.
        id: the event's.
    """

    tenure: int
    key: str
    id: str


class Row(NamedTuple):
    """What the address book has of a key: the events that shaped it, and the last of them."""

    revision: int
    event_id: str


def reading(place: str, acknowledged: Ids, read: Ids) -> list[Breach]:
    """Judge whether all that was acknowledged was read, in order per key.

    An event counts where it was read first: a repeat behind it changes no order.
    """
    breaches: list[Breach] = []
    for key, ids in acknowledged.items():
        wanted = set(ids)
        found = list(dict.fromkeys(id_ for id_ in read.get(key, ()) if id_ in wanted))
        breaches += [
            Breach(promise=Promise.LOST, place=place, what=f"{key} {id_}")
            for id_ in sorted(wanted.difference(found))
        ]
        there = set(found)
        if found != [id_ for id_ in ids if id_ in there]:
            breaches.append(Breach(promise=Promise.REORDERED, place=place, what=key))
    return breaches


def by_key(deliveries: Iterable[Delivery]) -> dict[str, list[str]]:
    """Return what reached handlers, by key and in order."""
    found = defaultdict(list)
    for delivery in deliveries:
        found[delivery.key].append(delivery.id)
    return dict(found)


def repeats(place: str, deliveries: Iterable[Delivery]) -> tuple[int, list[Breach]]:
    """Return how many deliveries were repeats, and those that came to the same hands again."""
    tenures: defaultdict[str, set[int]] = defaultdict(set)
    count, breaches = 0, []
    for delivery in deliveries:
        before = tenures[delivery.id]
        count += bool(before)
        if delivery.tenure in before:
            what = f"{delivery.key} {delivery.id}"
            breaches.append(Breach(promise=Promise.REPEATED, place=place, what=what))
        before.add(delivery.tenure)
    return count, breaches


def effects(place: str, acknowledged: Ids, rows: Mapping[str, Row]) -> list[Breach]:
    """Judge a table whose rows count the events that shaped them: each once, the last one last."""
    breaches = []
    for key, ids in acknowledged.items():
        row = rows.get(key, Row(0, ""))
        promise = None
        if row.revision > len(ids):
            promise = Promise.APPLIED_TWICE
        elif row.revision < len(ids):
            promise = Promise.LOST
        elif row.event_id != ids[-1]:
            promise = Promise.REORDERED
        if promise is not None:
            breaches.append(Breach(promise=promise, place=place, what=key))
    return breaches


class Written(NamedTuple):
    """An entry of the journal: its place in the chain, its digest and the id that it gives."""

    number: int
    digest: str
    id: int | None


def chain(
    place: str, accepted: Sequence[Written], readers: Sequence[Sequence[Written]]
) -> list[Breach]:
    """Judge a journal by what its writers were told and what its readers have read.

    Args:
        place: what to call it.
        accepted: the entries that writers were told are in.
        readers: all entries as each reader has them.
    """
    first = readers[0]
    breaches = [
        Breach(promise=Promise.DISAGREED, place=place, what=f"reader {number}")
        for number, other in enumerate(readers)
        if list(other) != list(first)
    ]
    there = set(first)
    breaches += [
        Breach(promise=Promise.LOST, place=place, what=f"entry {entry.number}")
        for entry in accepted
        if entry not in there
    ]
    # By what writers were told as well as by what is there: a lost id must not be given again.
    given = Counter(entry.id for entry in there.union(accepted) if entry.id is not None)
    breaches += [
        Breach(promise=Promise.GIVEN_TWICE, place=place, what=f"id {id_}")
        for id_, times in given.items()
        if times > 1
    ]
    return breaches


def longest_gap(times: Sequence[float], since: float, until: float) -> float:
    """Return the longest time without any of these moments, between two others.

    Args:
        times: rising.
        since, until: what comes before and after does not count; both are ends of a gap.
    """
    inside = [since, *(time for time in times if since < time < until), until]
    return max(after - before for before, after in pairwise(inside))
