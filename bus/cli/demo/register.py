"""The demo's address register: real addresses of Berlin, and a register that lives.

The first snapshot holds a part of the real ones. Each later snapshot holds more of them, and
changes that are made up: a street renamed, numbers changed, addresses withdrawn. A seed settles
which, so that two runs with one seed show the same.
"""

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

COLUMNS = ("hnr", "hnr_zusatz", "str_name", "plz", "ort_name", "PLR_NAME", "PLR_ID")

Row = tuple[str, ...]


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

    def grow(self, count: int) -> "Register":
        """Show at least ``count`` more addresses, whole streets at a time, while there are any."""
        rows, coming = list(self.rows), list(self.coming)
        goal = len(rows) + count
        while coming and len(rows) < goal:
            rows.extend(coming.pop(0))
        return replace(self, rows=tuple(rows), coming=tuple(coming))

    def change(self, seed: int) -> "Register":
        """Rename a street, renumber an address and withdraw one, all made up."""
        if not self.rows:
            return self
        choose = random.Random(seed)  # noqa: S311  # a demo's choice, no secret
        rows = list(self.rows)
        withdrawn = choose.randrange(len(rows))
        del rows[withdrawn]
        if rows:
            renumbered = choose.randrange(len(rows))
            rows[renumbered] = (str(900 + seed % 99), "", *rows[renumbered][2:])
            old = choose.choice(rows)
            new = f"Alte {old[2]}" if not old[2].startswith("Alte ") else old[2][5:]
            rows = [(r[0], r[1], new, *r[3:]) if _street(r) == _street(old) else r for r in rows]
        return replace(self, rows=tuple(rows))

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


def _street(row: Row) -> tuple[str, str]:
    return row[2], row[3]
