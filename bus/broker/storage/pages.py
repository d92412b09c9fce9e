"""The database's pages: how many there are, how many are free, and giving these back."""

import sqlite3
import time
from pathlib import Path

from bus.broker.storage.database import BUSY_WAITS_MS

_FOLD_WAITS_MS = 15  # as every publisher waits, too
_BOUND_WAITS_MS = 100  # longer than any reader takes that has a processor now and then
_FOLD_AGAIN = 0.15  # seconds, where a reader was in the way for longer

MOST_LOG_BYTES = 2_750_000
"""The write-ahead log is cut off where it is larger, which it is if a reader was in the way.

A commit that leaves `FOLD_PAGES` or more behind folds them into the database, and the next one
begins the log anew, unless somebody reads what was committed before. So the log has up to 1.8 MB
and one commit: a writer's round (0.8 MB of batches, a page for each partition), or one batch if
that is larger. A commit with a reader in its way comes on top of that, and then, as there is no
place for another one, all wait until the reader has done. That stays below 4 MB where batches have
no more than 1 MB, which is the default, and nobody holds a transaction open for long, as a backup
does in the end.
"""


class Pages:
    """The pages of the database and of its write-ahead log."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._log = path.with_name(path.name + "-wal")
        self._bound_again = 0.0  # of the monotonic clock

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

    def fold(self, waits_ms: int = _FOLD_WAITS_MS) -> bool:
        """Fold the write-ahead log into the database and cut both off where they end.

        Args:
            waits_ms: for how long readers may be in the way, in milliseconds.

        Returns:
            false if one was in the way for longer.
        """
        self._db.execute(f"pragma busy_timeout = {waits_ms}")
        try:
            busy, _, _ = self._db.execute("pragma wal_checkpoint(truncate)").fetchone()
        finally:
            self._db.execute(f"pragma busy_timeout = {BUSY_WAITS_MS}")
        return not busy

    def bound(self) -> None:
        """Cut off the write-ahead log if it is larger than it should be; called after commits."""
        if time.monotonic() >= self._bound_again and self.log_bytes() > MOST_LOG_BYTES:
            done = self.fold(_BOUND_WAITS_MS)
            self._bound_again = 0.0 if done else time.monotonic() + _FOLD_AGAIN

    def log_bytes(self) -> int:
        """Return the size of the write-ahead log."""
        try:
            return self._log.stat().st_size
        except FileNotFoundError:  # nothing was written yet
            return 0

    def _number(self, pragma: str) -> int:
        return int(self._db.execute(f"pragma {pragma}").fetchone()[0])
