"""What the register has announced so far, and what it still has to, in one SQLite file.

The changes of a snapshot and their event ids are written in one transaction before the first of
them is published, and crossed off after their receipts. Whatever dies in between: the next run
publishes what is left under the same ids, and readers drop what they have already.
"""

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from bus.event import new_id
from producers.address_register.difference import Change, Kind
from producers.address_register.snapshot import Location, Row, Snapshot
from producers.memory import Memory

VERSION = 1
TABLES = (
    """
    CREATE TABLE address (
        id TEXT PRIMARY KEY, street TEXT NOT NULL, number TEXT NOT NULL, suffix TEXT NOT NULL,
        postcode TEXT NOT NULL, place TEXT NOT NULL, area TEXT NOT NULL, withdrawn TEXT
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE pending (
        n INTEGER PRIMARY KEY, event TEXT NOT NULL UNIQUE, day TEXT NOT NULL, data TEXT NOT NULL
    )
    """,
    "CREATE TABLE snapshot (day TEXT PRIMARY KEY) WITHOUT ROWID",
)
_COLUMNS = "id, street, number, suffix, postcode, place, area"


@dataclass(frozen=True, slots=True)
class Pending:
    """An event that is to be published, or whose receipt has not come yet."""

    n: int
    event: str
    day: date
    data: dict[str, Any]


class State(Memory):
    """The register as announced, and what is pending; see `Memory` for what it raises.

    Args:
        path: the SQLite file; made if there is none.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, VERSION, TABLES)

    def known(self) -> dict[str, Row]:
        """Return the addresses that are not withdrawn, by id."""
        return self._addresses("withdrawn IS NULL")

    def former(self) -> dict[Location, str]:
        """Return the ids of withdrawn addresses by location: one that comes back keeps its id."""
        return {row.location: key for key, row in self._addresses("withdrawn IS NOT NULL").items()}

    def last_day(self) -> date | None:
        """Return the day of the newest snapshot, None before the first."""
        (day,) = self.db.execute("SELECT max(day) FROM snapshot").fetchone()
        return date.fromisoformat(day) if day else None

    def accept(
        self, snapshot: Snapshot, changes: Iterable[Change], events: Iterable[Mapping[str, Any]]
    ) -> None:
        """Take over a snapshot: its addresses, and the events that have to be published.

        Args:
            snapshot: the register as it is now.
            changes: what led there.
            events: the data of one event for each change, in the order of publishing.
        """
        day = snapshot.day.isoformat()
        with self.transaction() as db:
            db.executemany(
                f"INSERT OR REPLACE INTO address ({_COLUMNS}, withdrawn) "  # noqa: S608  # constant
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (_record(change, day) for change in changes),
            )
            # An area is part of no contract: where only that changed, nobody is told.
            db.executemany("UPDATE address SET area = ? WHERE id = ?", self._moved(snapshot))
            db.executemany(
                "INSERT INTO pending (event, day, data) VALUES (?, ?, ?)",
                ((new_id(), day, json.dumps(data, ensure_ascii=False)) for data in events),
            )
            db.execute("INSERT OR IGNORE INTO snapshot (day) VALUES (?)", (day,))

    def pending(self, limit: int) -> list[Pending]:
        """Return what is to be published next, in order."""
        found = self.db.execute(
            "SELECT n, event, day, data FROM pending ORDER BY n LIMIT ?", (limit,)
        )
        return [
            Pending(n, event, date.fromisoformat(day), json.loads(data))
            for n, event, day, data in found
        ]

    def settle(self, done: Iterable[Pending]) -> None:
        """Cross off what the bus has acknowledged."""
        with self.transaction() as db:
            db.executemany("DELETE FROM pending WHERE n = ?", ((item.n,) for item in done))

    def _addresses(self, condition: str) -> dict[str, Row]:
        found = self.db.execute(
            f"SELECT {_COLUMNS} FROM address WHERE {condition} "  # noqa: S608  # both constant
            "ORDER BY withdrawn, street, number, suffix, postcode, id"
        )
        return {key: Row(Location(*location), area) for key, *location, area in found}

    def _moved(self, snapshot: Snapshot) -> list[tuple[str, str]]:
        areas = {row.location: row.area for row in snapshot.rows}
        known = self.known().items()
        return [(areas[at], key) for key, (at, area) in known if area != areas[at]]


def _record(change: Change, day: str) -> tuple[str | None, ...]:
    withdrawn = day if change.kind is Kind.WITHDRAWN else None
    return (change.address, *change.row.location, change.row.area, withdrawn)


def new_address_id() -> str:
    """Return an id for an address that is seen for the first time."""
    return str(uuid.uuid4())
