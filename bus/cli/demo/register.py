"""The demo's address register: real addresses of Berlin, and a register that lives.

The first snapshot holds a part of the real ones. Each later snapshot holds more of them, and
changes that are made up: a street renamed, numbers changed, addresses withdrawn. A seed settles
which, so that two runs with one seed show the same.
"""

import csv
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count, groupby
from pathlib import Path

COLUMNS = ("hnr", "hnr_zusatz", "str_name", "plz", "ort_name", "PLR_NAME", "PLR_ID")

Row = tuple[str, ...]

FEWEST, MOST_RENAMED = 20, 0.1
"""Addresses from which on something changes; the largest part of them that is renamed at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """The register as one snapshot shows it, and the streets that it does not show yet."""

    rows: tuple[Row, ...] = ()
    coming: tuple[tuple[Row, ...], ...] = field(default=(), repr=False)

    @classmethod
    def seeded(cls, rows: Sequence[Row], seed: int) -> "Register":
        """Return a register that shows nothing yet of these rows, its streets in a seeded order."""
        ordered = sorted(set(rows), key=_street)
        streets = [tuple(street) for _, street in groupby(ordered, key=_street)]
        random.Random(seed).shuffle(streets)  # noqa: S311  # a demo's choice, no secret
        return cls(coming=tuple(streets))

    def grow(self, more: int) -> "Register":
        """Show at least so many addresses more, whole streets at a time, while there are any."""
        rows, coming = list(self.rows), list(self.coming)
        goal = len(rows) + more
        while coming and len(rows) < goal:
            rows.extend(coming.pop(0))
        return replace(self, rows=tuple(rows), coming=tuple(coming))

    def change(self, seed: int) -> "Register":
        """Rename a street, renumber an address and withdraw one, all made up.

        No more than a register loses in a day: its publisher takes a greater loss for a mistake.
        """
        if len(self.rows) < FEWEST:
            return self
        choose = random.Random(seed)  # noqa: S311  # a demo's choice, no secret
        rows = list(self.rows)
        del rows[choose.randrange(len(rows))]
        index = choose.randrange(len(rows))
        rows[index] = _renumbered(rows[index], rows)
        return replace(self, rows=tuple(self._renamed(rows, choose)))

    def _renamed(self, rows: list[Row], choose: random.Random) -> list[Row]:
        """Give a short street a name that no other one has."""
        sizes = Counter(map(_street, rows))
        others = sizes.keys() | {_street(row) for street in self.coming for row in street}
        short = [
            street
            for street, size in sizes.items()
            if size <= len(rows) * MOST_RENAMED and _other_name(street) not in others
        ]
        if not short:
            return rows
        old = choose.choice(short)
        new, _ = _other_name(old)
        return [(r[0], r[1], new, *r[3:]) if _street(r) == old else r for r in rows]

    def write(self, file: Path) -> None:
        """Write the snapshot as the city's register gives it out, whole or not at all."""
        part = file.with_suffix(".part")
        with part.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(COLUMNS)
            writer.writerows(self.rows)
        part.replace(file)


def read_rows(text: str) -> list[Row]:
    """Return the rows of a snapshot's text, without its header."""
    return [tuple(row) for row in list(csv.reader(text.splitlines()))[1:]]


def _renumbered(row: Row, rows: Sequence[Row]) -> Row:
    """Return an address under the first number from 900 on that its street does not have."""
    taken = {one[0] for one in rows if _street(one) == _street(row)}
    number = next(str(n) for n in count(900) if str(n) not in taken)
    return (number, "", *row[2:])


def _other_name(street: tuple[str, str]) -> tuple[str, str]:
    name, code = street
    return (name.removeprefix("Alte ") if name.startswith("Alte ") else f"Alte {name}", code)


def _street(row: Row) -> tuple[str, str]:
    return row[2], row[3]
