"""A producer's memory between two runs: one SQLite file, open in one process at a time."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from bus.errors import StorageInUse, StorageUnusable


class Memory:
    """A SQLite file whose every change is on disk when its transaction ends.

    Args:
        path: the file; made if there is none.
        version: the version of its tables.
        tables: the statements that make them.

    Raises:
        StorageInUse: another process has it open.
        StorageUnusable: it cannot be written, is no SQLite file, or of another version.
    """

    def __init__(self, path: Path, version: int, tables: Sequence[str]) -> None:
        self._path = path
        with self._our_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self.db = sqlite3.connect(path, timeout=0.2, isolation_level=None)
        try:
            with self._our_errors():
                # Exclusive: two programs over one memory would publish everything twice.
                self.db.execute("PRAGMA locking_mode=EXCLUSIVE")
                self.db.execute("PRAGMA synchronous=FULL")
                self._prepare(version, tables)
        except BaseException:
            self.db.close()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Do all of a block or nothing of it.

        Raises:
            StorageInUse: another process has the file open.
            StorageUnusable: the file cannot be written.
        """
        with self._our_errors():
            self.db.execute("BEGIN EXCLUSIVE")
            try:
                yield self.db
            except BaseException:
                self.db.execute("ROLLBACK")
                raise
            self.db.execute("COMMIT")

    def _prepare(self, version: int, tables: Sequence[str]) -> None:
        with self.transaction():
            (found,) = self.db.execute("PRAGMA user_version").fetchone()
            if found not in {0, version}:
                raise StorageUnusable(
                    f"is of version {found}, this program knows version {version}",
                    where=str(self._path),
                    remedy="use the program that wrote it, or a state file of its own",
                )
            if found == 0:
                for statement in (*tables, f"PRAGMA user_version={version}"):
                    self.db.execute(statement)

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
