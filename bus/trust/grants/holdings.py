"""All grants in memory: what decides, as packed lines, by number. Pure.

A hundred thousand grants are to take no more than 50 MB with their index, so there is no object for
each; and what a match asks of one lies in one place, as far as the processor's cache goes. The
legal basis and the times of the steps are in the snapshot alone (`snapshot.py`).
"""

import json
from functools import lru_cache
from struct import Struct
from typing import Any, NamedTuple

from bus.trust.grants.conditions import Condition, read_condition
from bus.trust.grants.grant import State, milliseconds
from bus.trust.grants.packing import Interned, Pool
from bus.trust.grants.rows import Predicate, compiled
from bus.trust.grants.terms import Owner, Terms, write_rows

NEVER = 2**63 - 1

_LINE = Struct("<qqIII16sIIIB")
_FACTS = Struct("<qqIII16s")
"""How a line begins."""

_STATE = _LINE.size - 1
"""Where in a line the state stands."""


class Core(NamedTuple):
    """The part of a grant's terms that decides what flows.

    Args:
        owner: whose data, and who decides.
        recipient: who gets it.
        topic: the contract.
        fields: what is given, sorted.
        rows: the conditions, as canonical JSON.
        purpose: what for.
        since, until: when it holds, in milliseconds since 1970; half-open.
    """

    owner: Owner
    recipient: str
    topic: str
    fields: tuple[str, ...]
    rows: str
    purpose: str
    since: int
    until: int


def core_of(terms: Terms) -> Core:
    """Return the part of terms that decides."""
    since, until = milliseconds(terms)
    rows = write_rows(terms.rows)
    return Core(
        terms.owner, terms.recipient, terms.topic, terms.fields, rows, terms.purpose, since, until
    )


@lru_cache(1024)  # conditions are often shared; those that are not are read in some microseconds
def conditions(rows: bytes) -> tuple[Condition, ...]:
    """Return the conditions that a canonical text says."""
    return tuple(read_condition(one, "rows") for one in json.loads(rows))


@lru_cache(4096)
def predicate(rows: bytes) -> Predicate:
    """Return what tells whether data keeps to the conditions of a canonical text."""
    return compiled(conditions(rows))


class Facts(NamedTuple):
    """What a match asks of a grant: times in milliseconds since 1970, numbers of what is interned.

    Args:
        since, until: when it holds, half-open.
        owner, recipient, fields: numbers in `owners`, `members` and `field_sets`.
        id: the grant's id.
    """

    since: int
    until: int
    owner: int
    recipient: int
    fields: int
    id: bytes


class Holdings:
    """The grants, by number from 0 on in the order in which they were asked for."""

    def __init__(self) -> None:
        self.owners = Interned[Owner]()
        self.members = Interned[str]()
        self.topics = Interned[str]()
        self.field_sets = Interned[tuple[str, ...]]()
        self._purposes = Interned[str]()
        self._ids, self._rows = Pool(), Pool()
        self._lines = bytearray()

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, grant: bytes, core: Core, state: State = State.REQUESTED) -> int:
        """Take a grant in that is not there yet, and return its number.

        Args:
            grant: its id, 16 bytes.
            core: what decides of its terms.
            state: what became of it.
        """
        self._lines += _LINE.pack(
            core.since,
            core.until,
            self.owners.add(core.owner),
            self.members.add(core.recipient),
            self.field_sets.add(core.fields),
            grant,
            self.topics.add(core.topic),
            self._rows.add(core.rows.encode()),
            self._purposes.add(core.purpose),
            state,
        )
        return self._ids.add(grant)

    def find(self, grant: bytes) -> int | None:
        """Return the number of a grant by its id; None if it is not there."""
        return self._ids.find(grant)

    def facts(self, number: int) -> Facts:
        """Return what a match asks of a grant."""
        return Facts._make(_FACTS.unpack_from(self._lines, number * _LINE.size))

    def rows(self, number: int) -> bytes:
        """Return a grant's conditions, as canonical JSON."""
        return self._rows[self._line(number)[7]]

    def state(self, number: int) -> State:
        """Return what became of a grant."""
        return State(self._lines[number * _LINE.size + _STATE])

    def on(self, topic: str) -> list[int]:
        """Return the numbers of all grants on a topic."""
        wanted = self.topics.find(topic)
        if wanted is None:
            return []
        return [n for n, line in enumerate(_LINE.iter_unpack(self._lines)) if line[6] == wanted]

    def become(self, number: int, state: State) -> None:
        """Note what became of a grant."""
        self._lines[number * _LINE.size + _STATE] = state

    def purpose(self, number: int) -> str:
        """Return what a grant is for."""
        return self._purposes[self._line(number)[8]]

    def core(self, number: int) -> Core:
        """Return what decides of a grant's terms."""
        since, until, owner, recipient, fields, _, topic, rows, purpose, _ = self._line(number)
        return Core(
            self.owners[owner],
            self.members[recipient],
            self.topics[topic],
            self.field_sets[fields],
            self._rows[rows].decode(),
            self._purposes[purpose],
            since,
            until,
        )

    def _line(self, number: int) -> tuple[Any, ...]:
        return _LINE.unpack_from(self._lines, number * _LINE.size)
