"""What the register has announced so far, and what it still has to, in one SQLite file.

The changes of a snapshot and their event ids are written in one transaction before the first of
them is published, and crossed off after their receipts. Whatever dies in between: the next run
publishes what is left under the same ids, and readers drop what they have already.
"""

import json
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Self

from bus.errors import StorageInUse, StorageUnusable
from producers.address_register.difference import Change
from producers.address_register.snapshot import Location, Row, Snapshot

VERSION = 1
_TABLES = """
CREATE TABLE address (
    id TEXT PRIMARY KEY,
    street TEXT NOT NULL, number TEXT NOT NULL, suffix TEXT NOT NULL,
    postcode TEXT NOT NULL, place TEXT NOT NULL, area TEXT NOT NULL,
    withdrawn TEXT
) WITHOUT ROWID;
CREATE TABLE pending (
    n INTEGER PRIMARY KEY,
    event TEXT NOT NULL UNIQUE,
    day TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE TABLE snapshot (day TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_COLUMNS = "id, street, number, suffix, postcode, place, area"


@dataclass(frozen=True, slots=True)
class Pending:
    """An event that is to be published, or whose receipt has not come yet."""

    n: int
    event: str
    day: date
    data: dict[str, Any]


class State:
    """The register's memory between two runs. One process at a time has it open.

    Args:
        path: the SQLite file; made if there is none.

    Raises:
        StorageInUse: another process has it open.
        StorageUnusable: it cannot be written, is no SQLite file, or of another version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._our_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=0.2, isolation_level=None)
            # Exclusive: two programs over one register would announce everything twice.
            self._db.executescript("PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=FULL;")
            with self._transaction():
                self._prepare()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._db.close()

    def known(self) -> dict[str, Row]:
        """Return the addresses that are not withdrawn, by id."""
        return self._addresses("withdrawn IS NULL")

    def former(self) -> dict[Location, str]:
        """Return the ids of withdrawn addresses by location: one that comes back keeps its id."""
        return {row.location: key for key, row in self._addresses("withdrawn IS NOT NULL").items()}

    def last_day(self) -> date | None:
        """Return the day of the newest snapshot, None before the first."""
        (day,) = self._db.execute("SELECT max(day) FROM snapshot").fetchone()
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
        with self._our_errors(), self._transaction():
            self._db.executemany(
                f"INSERT OR REPLACE INTO address ({_COLUMNS}, withdrawn) "  # noqa: S608  # constant
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (_record(change, day) for change in changes),
            )
            # An area is part of no contract: where only that changed, nobody is told.
            self._db.executemany(
                "UPDATE address SET area = ? WHERE street = ? AND number = ? AND suffix = ? "
                "AND postcode = ? AND place = ? AND withdrawn IS NULL AND area <> ?",
                ((row.area, *row.location, row.area) for row in self._moved(snapshot)),
            )
            self._db.executemany(
                "INSERT INTO pending (event, day, data) VALUES (?, ?, ?)",
                ((_new_id(), day, json.dumps(data, ensure_ascii=False)) for data in events),
            )
            self._db.execute("INSERT OR IGNORE INTO snapshot (day) VALUES (?)", (day,))

    def pending(self, limit: int) -> list[Pending]:
        """Return what is to be published next, in order."""
        found = self._db.execute(
            "SELECT n, event, day, data FROM pending ORDER BY n LIMIT ?", (limit,)
        )
        return [
            Pending(n, event, date.fromisoformat(day), json.loads(data))
            for n, event, day, data in found
        ]

    def settle(self, done: Iterable[Pending]) -> None:
        """Cross off what the bus has acknowledged."""
        with self._our_errors(), self._transaction():
            self._db.executemany("DELETE FROM pending WHERE n = ?", ((item.n,) for item in done))

    def _addresses(self, condition: str) -> dict[str, Row]:
        found = self._db.execute(
            f"SELECT {_COLUMNS} FROM address WHERE {condition} "  # noqa: S608  # both constant
            "ORDER BY withdrawn, street, number, suffix, postcode, id"
        )
        return {key: Row(Location(*location), area) for key, *location, area in found}

    def _moved(self, snapshot: Snapshot) -> Iterator[Row]:
        areas = {row.location: row.area for row in self.known().values()}
        return (row for row in snapshot.rows if areas.get(row.location) != row.area)

    def _prepare(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in filter(str.strip, _TABLES.split(";")):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version={VERSION}")
        elif version != VERSION:
            raise StorageUnusable(
                f"is of version {version}, this program knows version {VERSION}",
                where=str(self._path),
                remedy="use the program that wrote it, or a state file of its own",
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN EXCLUSIVE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if "locked" in str(error):
                raise StorageInUse(
                    "is open in another process",
                    where=str(self._path),
                    remedy="stop the other one, or give this one a state file of its own",
                ) from error
            raise StorageUnusable(
                f"cannot be used: {error}",
                where=str(self._path),
                remedy="check the path, its permissions and the space on the disk",
            ) from error


def _record(change: Change, day: str) -> tuple[str | None, ...]:
    row = change.after or change.before
    assert row is not None, "a change has a row before or after"  # noqa: S101  # by construction
    return (change.address, *row.location, row.area, None if change.after else day)


def _new_id() -> str:
    from uuid_utils import uuid7

    return str(uuid7())


def new_address_id() -> str:
    """Return an id for an address that is seen for the first time."""
    return str(uuid.uuid4())
