"""Whether a campaign's promises were kept, from what everybody saw: pure.

Nothing is judged by counts, behind which a loss can hide with a repeat beside it: ids are compared.
The address book keeps only the last event of each address, and how many have shaped it; so every
state that it committed is compared, and not only the last one.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

Ids = Mapping[str, Sequence[str]]
"""Ids of events by key, in order."""


class Promise(StrEnum):
    """What may be broken."""

    LOST = "lost"
    LATE = "did not arrive in time, and is in the topic"
    UNANSWERED = "was neither acknowledged nor refused in time"
    ENDED = "ended by itself"
    REORDERED = "reordered"
    APPLIED_TWICE = "applied twice"
    REPEATED = "repeated without a change of hands"
    GIVEN_TWICE = "given twice"
    DISAGREED = "readers disagree"
    INVENTED = "was never announced"


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
        tenure: counts the times that a partition came into other hands, as `Hands` does.
        key: the event's.
        id: the event's.
    """

    tenure: int
    key: str
    id: str


class State(NamedTuple):
    """What the address book once had of a key: the events that shaped it, and the last of them."""

    revision: int
    event_id: str


class Hands:
    """In whose hands partitions are, and how often each of them came into other hands.

    A partition that is given back to who had it last has not changed hands, unless its position
    could not be stored in between: then nobody knows how far it was handled.
    """

    def __init__(self) -> None:
        self._held: dict[Hashable, tuple[Hashable, int]] = {}
        self._count = 0

    def take(self, place: Hashable, member: Hashable) -> int:
        """Return the number of the tenure in which a member now has a partition."""
        holder, tenure = self._held.get(place, (None, 0))
        if holder != member:
            self._count = tenure = self._count + 1
            self._held[place] = member, tenure
        return tenure

    def lose(self, place: Hashable) -> None:
        """Note that a partition was given up without its position being stored."""
        self._held.pop(place, None)


def reading(
    place: str, acknowledged: Ids, read: Ids, topic: AbstractSet[str] = frozenset()
) -> list[Breach]:
    """Judge whether all that was acknowledged was read, in order per key.

    An event counts where it was read first: a repeat behind it changes no order.

    Args:
        place: what to call who read.
        acknowledged, read: ids of events by key, in order.
        topic: the ids that are there to be read: of them, nothing is lost that is missing.
    """
    breaches: list[Breach] = []
    for key, ids in acknowledged.items():
        wanted = set(ids)
        found = list(dict.fromkeys(id_ for id_ in read.get(key, ()) if id_ in wanted))
        breaches += [
            Breach(promise=_missing(id_, topic), place=place, what=f"{key} {id_}")
            for id_ in sorted(wanted.difference(found))
        ]
        there = set(found)
        if found != [id_ for id_ in ids if id_ in there]:
            breaches.append(Breach(promise=Promise.REORDERED, place=place, what=key))
    return breaches


def _missing(id_: str, topic: AbstractSet[str]) -> Promise:
    return Promise.LATE if id_ in topic else Promise.LOST


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


def effects(
    place: str,
    acknowledged: Ids,
    states: Mapping[str, Sequence[State]],
    topic: AbstractSet[str] = frozenset(),
) -> list[Breach]:
    """Judge a table whose rows count the events that shaped them, by all states that it had.

    From one state to the next a row's revision has to rise by as many events as there are from the
    one event to the other: a loss shows in its step and a repeat in its own, and the one does not
    make up for the other. Only within one step, which is one transaction, they would.

    Args:
        place: what to call it.
        acknowledged: ids of events by key, in order.
        states: what each key's row once was, in the order of the transactions.
        topic: the ids that are there to be read: what comes after the last state is not lost.
    """
    breaches = [
        Breach(promise=Promise.INVENTED, place=place, what=key)
        for key in sorted(states.keys() - acknowledged.keys())
    ]
    for key, ids in acknowledged.items():
        broken = dict.fromkeys(_steps(ids, states.get(key, ()), topic))
        breaches += [Breach(promise=promise, place=place, what=key) for promise in broken]
    return breaches


def _steps(
    ids: Sequence[str], states: Sequence[State], topic: AbstractSet[str]
) -> Iterator[Promise]:
    """Yield what each step from one state to the next breaks."""
    numbers = {id_: number for number, id_ in enumerate(ids, start=1)}
    number = revision = 0
    for state in states:
        if state.event_id not in numbers:
            yield Promise.INVENTED
            return
        events = numbers[state.event_id] - number
        effects = state.revision - revision
        if events < 0:
            yield Promise.REORDERED
        if effects > max(events, 0):
            yield Promise.APPLIED_TWICE
        elif effects < events:
            yield Promise.LOST
        number, revision = numbers[state.event_id], state.revision
    for id_ in ids[number:]:
        yield _missing(id_, topic)


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
