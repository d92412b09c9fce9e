"""What happened between two snapshots of an address register, as far as they tell.

A snapshot has no ids, causes or dates, so the changes are inferred, and only where there is one way
to read them. The rules are applied in this order, each to what the ones before it left over:

1. The same location in both: nothing happened.
2. A street was renamed: all addresses of one street of a place are gone, a street that was not
   there before has exactly the same numbers in the same postcodes and areas, and no other street
   that went or came could be meant.
3. An address was assigned another postcode or place: its street, number, suffix and area are gone
   once and new once.
4. A building was renumbered: in one street, place, postcode and area exactly one number is gone
   and exactly one is new.
5. Anything else that is gone was withdrawn, anything else that is new was registered, for a
   cause that is unknown.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from producers.address_register.snapshot import Location, Row

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Kind(StrEnum):
    """What happened to an address."""

    REGISTERED = "REGISTERED"
    RENUMBERED = "RENUMBERED"
    RENAMED = "RENAMED"
    REASSIGNED = "REASSIGNED"
    WITHDRAWN = "WITHDRAWN"


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one address.

    Attributes:
        kind: what.
        address: its id.
        row: what it says now; what it said last, if it was withdrawn.
        before: what it said before, None if it is new.
    """

    kind: Kind
    address: str
    row: Row
    before: Row | None


Known = Mapping[str, Row]
Pair = tuple[str, Row]


def difference(
    known: Known, rows: Collection[Row], identify: Callable[[Location], str]
) -> tuple[Change, ...]:
    """Return what turns the known addresses into those of a snapshot.

    Args:
        known: the register's addresses so far, by id.
        rows: the snapshot's addresses, each location once.
        identify: returns the id of a location that is registered; never one that is in use.
    """
    now = {row.location for row in rows}
    then = {row.location for row in known.values()}
    gone = {key: row for key, row in known.items() if row.location not in now}
    new = {row.location: row for row in rows if row.location not in then}
    changes: list[Change] = []

    def pair(kind: Kind, pairs: Iterable[Pair]) -> None:
        for key, row in tuple(pairs):
            changes.append(Change(kind, key, new.pop(row.location), gone.pop(key)))

    pair(Kind.RENAMED, _renamed(known, rows, gone, new))
    pair(Kind.REASSIGNED, _one_to_one(_sans_postcode, gone, new.values()))
    pair(Kind.RENUMBERED, _one_to_one(_sans_number, gone, new.values()))
    changes += (Change(Kind.WITHDRAWN, key, row, row) for key, row in gone.items())
    changes += (Change(Kind.REGISTERED, identify(at), row, None) for at, row in new.items())
    return tuple(changes)


def apply(changes: Iterable[Change], known: Known) -> dict[str, Row]:
    """Return the addresses after some changes: the reverse of `difference`."""
    after = dict(known)
    for change in changes:
        if change.kind is Kind.WITHDRAWN:
            del after[change.address]
        else:
            after[change.address] = change.row
    return after


def _sans_postcode(row: Row) -> tuple[str, ...]:
    street, number, suffix, _, _ = row.location
    return street, number, suffix, row.area


def _sans_number(row: Row) -> tuple[str, ...]:
    street, _, _, postcode, place = row.location
    return street, postcode, place, row.area


def _sans_street(row: Row) -> tuple[str, ...]:
    _, number, suffix, postcode, place = row.location
    return number, suffix, postcode, place, row.area


def _street(row: Row) -> tuple[str, str]:
    return row.location.street, row.location.place


def _one_to_one(key: Callable[[Row], Hashable], gone: Known, new: Iterable[Row]) -> Iterator[Pair]:
    """Pair what is gone with what is new where a key occurs exactly once on both sides."""
    arrived = _grouped(new, key)
    for where, left in _grouped(gone.items(), lambda pair: key(pair[1])).items():
        match left, arrived.get(where, []):
            case [(address, _)], [row]:
                yield address, row


def _renamed(
    known: Known, rows: Iterable[Row], gone: Known, new: Mapping[Location, Row]
) -> Iterator[Pair]:
    """Pair the addresses of streets that went as a whole with those of streets that came."""
    then = {_street(row) for row in known.values()}
    now = {_street(row) for row in rows}
    went = _by_outline(((key, row) for key, row in gone.items() if _street(row) not in now))
    came = _by_outline(("", row) for row in new.values() if _street(row) not in then)
    for outline, streets in went.items():
        match streets, came.get(outline, []):
            case [old], [young]:
                after = {_sans_street(row): row for _, row in young}
                yield from ((key, after[_sans_street(row)]) for key, row in old)


def _by_outline(addresses: Iterable[Pair]) -> dict[frozenset[tuple[str, ...]], list[list[Pair]]]:
    """Return streets by what they consist of but for their name."""
    streets = _grouped(addresses, lambda pair: _street(pair[1])).values()
    return _grouped(streets, lambda pairs: frozenset(_sans_street(row) for _, row in pairs))


def _grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    groups: defaultdict[K, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups
