"""The database's pages: how many there are, how many are free, and giving these back."""

import sqlite3

from bus.broker.storage.database import BUSY_WAITS_MS

_FOLD_WAITS_MS = 15  # as every publisher waits, too


class Pages:
    """The pages of the database and of its write-ahead log."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def count(self) -> int:
        """Return the pages of the database, those that are free included."""
        return self._number("page_count")

    def free(self) -> int:
        """Return the pages that hold nothing."""
        return self._number("freelist_count")

    def free_bytes(self) -> int:
        """Return the space that can be written to before the database grows."""
        return self.free() * self._number("page_size")

    def vacuum(self, pages: int) -> bool:
        """Take so many free pages off the database's end; what lies there moves forward.

        Returns:
            whether there are fewer free pages now.
        """
        before = self.free()
        # A page is freed at each step of the statement, and `execute` takes only one step.
        self._db.executescript(f"pragma incremental_vacuum({pages})")
        return self.free() < before

    def fold(self) -> bool:
        """Fold the write-ahead log into the database and cut both off where they end.

        Returns:
            false if a reader was in the way for too long.
        """
        self._db.execute(f"pragma busy_timeout = {_FOLD_WAITS_MS}")
        try:
            busy, _, _ = self._db.execute("pragma wal_checkpoint(truncate)").fetchone()
        finally:
            self._db.execute(f"pragma busy_timeout = {BUSY_WAITS_MS}")
        return not busy

    def _number(self, pragma: str) -> int:
        return int(self._db.execute(f"pragma {pragma}").fetchone()[0])
