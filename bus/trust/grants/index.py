"""Finds the grants that an event may concern without looking at the others. Pure.

A grant stands under its topic, whose data it is about (an owner, or a beginning of official codes)
and, where it has one, under what one of its conditions asks for: a value, one of several, or a
text's beginning. So an event looks up a few words, however many grants there are.
"""

from array import array
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bus.trust.grants.conditions import Among, Begins, Condition
from bus.trust.grants.holdings import Holdings, conditions
from bus.trust.grants.literals import readings, tagged, value_at
from bus.trust.grants.packing import Interned, Pool
from bus.trust.grants.terms import write_rows


class Probe(NamedTuple):
    """What is looked up of an event: a field's value, or so many characters of it."""

    path: tuple[str, ...]
    length: int


NOTHING = b"[]"
"""No condition, as canonical JSON."""

WHOLE = 0
"""The length of a probe that takes the whole value."""


class Index:
    """The grants that are in force, by what they ask for.

    Args:
        holdings: where they are kept; here they are known by number.
    """

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings
        self._found: dict[str, int | array[int]] = {}
        self._scopes = Interned[str]()
        self._probes = Interned[Probe]()
        self._probes_of: dict[int, Counter[int]] = {}
        self._lengths_of: dict[int, Counter[int]] = {}
        self._rests, self._rest = Pool(), array("I")

    def add(self, number: int) -> None:
        """Take in a grant that is not there."""
        stand = self._stand(number)
        if stand.probe is not None:
            self._probes_of.setdefault(stand.topic, Counter())[stand.probe] += 1
        self._lengths_of.setdefault(stand.topic, Counter())[stand.length] += 1
        while len(self._rest) <= number:
            self._rest.append(self._rests.add(NOTHING))
        self._rest[number] = self._rests.add(stand.rest)
        for word in stand.words:
            there = self._found.get(word)
            if there is None:
                self._found[word] = number
            elif isinstance(there, int):
                self._found[word] = array("I", sorted((there, number)))
            else:
                insort(there, number)

    def remove(self, number: int) -> None:
        """Take out a grant that is there."""
        stand = self._stand(number)
        if stand.probe is not None:
            _lessen(self._probes_of[stand.topic], stand.probe)
        _lessen(self._lengths_of[stand.topic], stand.length)
        for word in stand.words:
            there = self._found[word]
            if isinstance(there, int):
                del self._found[word]
            else:
                del there[bisect_left(there, number)]
                if not there:
                    del self._found[word]

    def find(self, topic: str, owner: str, ars: str, values: Mapping[str, Any]) -> list[int]:
        """Return the numbers of the grants that an event may concern, in order.

        What each asks beyond its place here is still to be asked, as `rest` has it.

        Args:
            topic: the event's contract.
            owner: the member whose data it is.
            ars: the official code of the municipality that it is about; empty if there is none.
            values: its data.
        """
        known = self._holdings.topics.find(topic)
        if known is None:
            return []
        tails = ["", *self._tails(known, values)]
        found: list[int] = []
        for length in self._lengths_of.get(known, ()):
            scope = self._scopes.find(ars[:length] if length else owner)
            if scope is None or len(ars) < length:
                continue
            for tail in tails:
                there = self._found.get(f"{known}/{scope}/{tail}")
                if there is None:
                    continue
                if isinstance(there, int):
                    found.append(there)
                else:
                    found.extend(there)
        found.sort()
        return found

    def rest(self, number: int) -> bytes:
        """Return what a grant that was found asks beyond its place here, as canonical JSON.

        It is often the same for many grants, even where what they are found by is not.
        """
        return self._rests[self._rest[number]]

    def _tails(self, topic: int, values: Mapping[str, Any]) -> Iterator[str]:
        """Yield how words end that an event's values lead to."""
        for number in self._probes_of.get(topic, ()):
            path, length = self._probes[number]
            value = value_at(values, path)
            if length:
                if type(value) is str:
                    yield f"{number}/{value[:length]}"
            elif (tag := tagged(value)) is not None:
                yield f"{number}/{tag}"

    def _stand(self, number: int) -> "_Stand":
        """Return where a grant stands."""
        core = self._holdings.core(number)
        rows = conditions(core.rows.encode())
        chosen = _chosen(rows)
        topic = self._holdings.topics.add(core.topic)
        scope = self._scopes.add(core.owner.ars or core.owner.member)
        probe = None if chosen is None else self._probes.add(_probe(chosen))
        tails = [""] if chosen is None else [f"{probe}/{word}" for word in _words(chosen)]
        return _Stand(
            topic=topic,
            length=len(core.owner.ars),
            probe=probe,
            words=[f"{topic}/{scope}/{tail}" for tail in tails],
            rest=write_rows([one for one in rows if one is not chosen]).encode(),
        )


class _Stand(NamedTuple):
    """Where a grant stands.

    Args:
        topic: the number of its topic.
        length: how much of an official code names its scope; 0: a member does.
        probe: the number of what is looked up of an event's values; None: nothing.
        words: the words that it is found by.
        rest: the conditions that it asks beside, as canonical JSON.
    """

    topic: int
    length: int
    probe: int | None
    words: list[str]
    rest: bytes


def _chosen(rows: tuple[Condition, ...]) -> Among | Begins | None:
    """Return the condition that a grant is found by: of few values, or of a long beginning."""
    equal = [one for one in rows if isinstance(one, Among)]
    if equal:
        return min(equal, key=lambda one: len(one.values))
    begins = [one for one in rows if isinstance(one, Begins)]
    return max(begins, key=lambda one: len(one.prefix)) if begins else None


def _probe(condition: Among | Begins) -> Probe:
    length = len(condition.prefix) if isinstance(condition, Begins) else WHOLE
    return Probe(tuple(condition.field.split(".")), length)


def _words(condition: Among | Begins) -> set[str]:
    """Return what `Index._tails` makes of the values that a condition asks for."""
    if isinstance(condition, Begins):
        return {condition.prefix}
    values = [value for one in condition.values for value in readings(one).values()]
    return {tag for tag in map(tagged, values) if tag is not None}


def _lessen(counts: Counter[int], key: int) -> None:
    """Count one less of a key, and forget it once there is none."""
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
