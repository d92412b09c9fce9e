"""What happens to people in a place: moves, births, deaths, corrections, streets that are renamed.

Nothing of it is true. The same seed gives the same life, event by event, so a run that was stopped
can go on where it was.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import NamedTuple

from producers.residents.people import Person, pseudonym, settled
from producers.residents.places import RENAMED, Address, Municipality, invented

BEGIN = datetime(2026, 1, 1, 8, tzinfo=UTC)
RESIDENTS = 120
FEWEST = 20
"""Below so many residents nobody leaves and nobody dies."""


class Change(NamedTuple):
    """What the register announces of one person.

    Args:
        at: when it became known.
        cause: a symbol of the contract.
        valid_from: the day from which it is so.
        person: as they are afterwards.
        old: the address until then; None if there was none.
        new: the address from then on; None if there is none.
        corrects: the id of an earlier event that was wrong.
    """

    at: datetime
    cause: str
    valid_from: date
    person: Person
    old: Address | None
    new: Address | None
    corrects: str | None = None


class Life:
    """The life of one municipality, which never ends.

    Args:
        seed: of everything that happens.
        home: where.
        neighbours: where people come from and go to.
    """

    def __init__(self, seed: int, home: Municipality, neighbours: Sequence[Municipality]) -> None:
        self._draw = Random(f"{seed} {home.ars}")  # noqa: S311  # a story, not a secret
        self._home, self._neighbours = home, neighbours
        self._people = settled(self._draw, home, RESIDENTS)
        self._at = BEGIN
        happenings: dict[Callable[[], list[Change]], int] = {
            self._move: 30,
            self._move_in: 20,
            self._move_out: 15,
            self._birth: 12,
            self._death: 10,
            self._correction: 7,
            self._sealing: 3,
            self._renaming: 3,
        }
        self._happenings, self._weights = list(happenings), list(happenings.values())

    def changes(self) -> Iterator[Change]:
        """Yield what is announced, in the order of time; who takes one notes its event's id."""
        while True:
            self._at += timedelta(minutes=self._draw.randint(5, 600))
            (happening,) = self._draw.choices(self._happenings, self._weights)
            for change in happening():
                yield change
                self._at += timedelta(seconds=1)

    def _somebody(self) -> Person:
        return self._draw.choice(self._people)

    def _household(self) -> list[Person]:
        home = self._somebody().household
        return [person for person in self._people if person.household == home]

    def _today(self) -> date:
        return self._at.date()

    def _move(self) -> list[Change]:
        new = invented(self._draw, self._home)
        return [self._moved(person, new) for person in self._household()]

    def _move_in(self) -> list[Change]:
        home, new = pseudonym(self._draw), invented(self._draw, self._home)
        old = invented(self._draw, self._draw.choice(self._neighbours))
        arrived = [
            Person(pseudonym(self._draw), home, old) for _ in range(self._draw.randint(1, 4))
        ]
        self._people += arrived
        return [self._moved(person, new) for person in arrived]

    def _move_out(self) -> list[Change]:
        leaving = self._household()
        if len(self._people) - len(leaving) < FEWEST:
            return []
        self._people = [person for person in self._people if person not in leaving]
        new = invented(self._draw, self._draw.choice(self._neighbours))
        return [self._moved(person, new) for person in leaving]

    def _moved(self, person: Person, new: Address) -> Change:
        old, person.address = person.address, new
        return self._change("MOVE", person, old, new)

    def _birth(self) -> list[Change]:
        parent = self._somebody()
        child = Person(pseudonym(self._draw), parent.household, parent.address, parent.sealed)
        self._people.append(child)
        return [self._change("BIRTH", child, None, child.address)]

    def _death(self) -> list[Change]:
        if len(self._people) <= FEWEST:
            return []
        person = self._somebody()
        self._people.remove(person)
        return [self._change("DEATH", person, person.address, None)]

    def _correction(self) -> list[Change]:
        known = [person for person in self._people if person.announced]
        if not known:
            return []
        person = self._draw.choice(known)
        old = person.address
        person.address = old._replace(number=str(int(old.number) + 1))
        change = self._change("CORRECTION", person, old, person.address)
        return [change._replace(corrects=person.announced)]

    def _sealing(self) -> list[Change]:
        person = self._somebody()
        person.sealed = not person.sealed
        cause = "SEALED" if person.sealed else "UNSEALED"
        return [self._change(cause, person, person.address, person.address)]

    def _renaming(self) -> list[Change]:
        street = self._somebody().address.street
        name = f"{self._draw.choice(RENAMED)} {street.rpartition(' ')[2]}"
        changes = []
        for person in self._people:
            if person.address.street == street != name:
                old, person.address = person.address, person.address._replace(street=name)
                changes.append(self._change("STREET_RENAMED", person, old, person.address))
        return changes

    def _change(
        self, cause: str, person: Person, old: Address | None, new: Address | None
    ) -> Change:
        return Change(self._at, cause, self._today(), person, old, new)
