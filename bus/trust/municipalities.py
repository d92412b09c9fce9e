"""The directory of Germany's municipalities: for finding one, and for checking its official code.

It is of one day, and reforms come every year; so it helps whoever writes a statement, and never
decides whether one counts. Source and licence: `data/SOURCE.md`.
"""

import csv
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import date
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from bus.errors import InvalidInput, NotFound
from bus.trust.says import is_ars

AS_OF = date(2023, 11, 30)

STATES = (
    "Schleswig-Holstein",
    "Hamburg",
    "Niedersachsen",
    "Bremen",
    "Nordrhein-Westfalen",
    "Hessen",
    "Rheinland-Pfalz",
    "Baden-Württemberg",
    "Bayern",
    "Saarland",
    "Berlin",
    "Brandenburg",
    "Mecklenburg-Vorpommern",
    "Sachsen",
    "Sachsen-Anhalt",
    "Thüringen",
)
"""In the order of the first two digits of the official codes, from 01 on."""


class Municipality(NamedTuple):
    """A municipality as the directory has it; ``association`` is empty where it is of one alone."""

    ars: str
    name: str
    district: str
    association: str

    @property
    def state(self) -> str:
        """The state that it lies in."""
        return STATES[int(self.ars[:2]) - 1]

    @property
    def member(self) -> str:
        """The id that it has, or would have, as a member."""
        return f"de.mun.{self.ars}"


class Directory:
    """Municipalities by code and by name.

    Args:
        municipalities: all that there are.
    """

    def __init__(self, municipalities: Iterable[Municipality]) -> None:
        self._by_ars = {one.ars: one for one in municipalities}

    def __len__(self) -> int:
        return len(self._by_ars)

    def __iter__(self) -> Iterator[Municipality]:
        return iter(self._by_ars.values())

    def get(self, ars: str) -> Municipality | None:
        """Return the municipality of an official code."""
        return self._by_ars.get(ars)

    def require(self, ars: str) -> Municipality:
        """Return the municipality of an official code.

        Raises:
            InvalidInput: this has not the form of one.
            NotFound: no municipality has it.
        """
        if not is_ars(ars):
            raise InvalidInput(
                "is no official code of a municipality (ARS), which has 12 digits",
                where=ars or '""',
                remedy="find it by name: `stadtbus member find NAME`",
            )
        found = self._by_ars.get(ars)
        if found is None:
            raise NotFound(
                f"no municipality has this official code in the directory of {AS_OF:%d.%m.%Y}",
                where=ars,
                remedy="find it by name: `stadtbus member find NAME`; if a reform has made it "
                "since, say --new-code",
            )
        return found

    def find(self, words: str) -> list[Municipality]:
        """Return the municipalities whose code begins so, or whose names have all of the words.

        Those come first whose own name is what was asked for, then those that have most of it.

        Args:
            words: digits, or parts of the names of municipality, district or association; accents
                and case do not matter.
        """
        if words.isdigit():
            return [one for one in self if one.ars.startswith(words)]
        wanted = _plain(words).split()
        found = [one for one in self if all(word in _names(one) for word in wanted)]
        return sorted(found, key=lambda one: (*_distance(one.name, words), one.ars))


@cache
def directory() -> Directory:
    """Return the directory that is shipped."""
    text = (files("bus.trust") / "data" / "municipalities.csv").read_text(encoding="utf-8")
    rows = csv.reader(text.splitlines())
    next(rows)  # the columns' names
    return Directory(Municipality(*row) for row in rows)


def _distance(name: str, asked: str) -> tuple[bool, bool, int, bool]:
    """Return how far a name is from what was asked for; what is nearer sorts first."""
    plain, wanted = _plain(name), _plain(asked)
    own = plain.partition(",")[0]  # "passau, stadt"
    return (
        name.casefold() != asked.casefold(),  # Munster is not Münster
        wanted not in {plain, own},
        sum(word not in plain for word in wanted.split()),
        not plain.startswith(wanted),
    )


def _names(one: Municipality) -> str:
    return _plain(f"{one.name} {one.district} {one.association}")


def _plain(text: str) -> str:
    """Return a text in small letters without accents."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter)).strip()
