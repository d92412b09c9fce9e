"""What the writer does between rounds: delete what dropped topics held, give the space back.

Each step is short, so that it holds up no round for long. Pages that are free inside the database
are used before the file grows; they are given back to the file system where they are many, or
where it needs them.
"""

import logging
import shutil
import sqlite3
import time

from bus.broker.storage.store import Store

PURGE_BYTES = 2**18
VACUUM_PAGES = 32
MOST_FREE = 0.2  # of the file's pages, before they are given back
STEP_EVERY = 0.05  # seconds, so that it keeps up while there is produce
TRY_AGAIN = 5.0  # seconds, after a step that failed or met a reader

log = logging.getLogger(__name__)


class Housekeeping:
    """The steps that are due.

    Args:
        store: the database; used by the writer thread alone.
        min_free_bytes: space below which nothing is appended.
    """

    def __init__(self, store: Store, min_free_bytes: int) -> None:
        self._store, self._min_free = store, min_free_bytes
        self._purging = self._shrinking = True
        self._last = self._not_before = 0.0  # of the monotonic clock
        self._vacuumed = False

    def wake(self) -> None:
        """Take note that there may be something to do."""
        self._purging = self._shrinking = True

    def has_space(self) -> bool:
        """Say whether there is space to append: on the disk, or free in the database."""
        missing = self._min_free - shutil.disk_usage(self._store.path.parent).free
        if missing <= 0:
            return True
        self._shrinking = True
        return self._store.pages.free_bytes() >= missing

    def wait(self) -> float | None:
        """Return the seconds until the next step if there is nothing else to do; None: no step."""
        if not self._purging and not self._shrinking:
            return None
        return max(self._not_before - time.monotonic(), 0.0)

    def step(self, *, idle: bool) -> None:
        """Do one step, if it is time.

        Args:
            idle: whether nobody waits for a round.
        """
        now = time.monotonic()
        if self.wait() != 0.0 or (not idle and now < self._last + STEP_EVERY):
            return
        self._last = now
        try:
            if self._purging:
                self._purging = self._purge()
            elif self._shrinking:
                self._shrinking = self._shrink()
        except sqlite3.Error as error:
            log.error("giving back the space of deleted topics failed: %s", error)
            self._store.rollback()
            self._not_before = now + TRY_AGAIN

    def _purge(self) -> bool:
        self._store.begin()
        more = self._store.log.purge(PURGE_BYTES)
        self._store.commit()
        return more

    def _shrink(self) -> bool:
        """Give back some pages, or with the last of them the write-ahead log's space, too."""
        free = self._store.pages.free()
        many = free > max(MOST_FREE * self._store.pages.count(), VACUUM_PAGES)
        if free and (many or self._scarce()) and self._store.pages.vacuum(VACUUM_PAGES):
            self._vacuumed = True
            return True
        if self._vacuumed and not self._store.pages.fold():
            self._not_before = time.monotonic() + TRY_AGAIN
            return True
        self._vacuumed = False
        return False

    def _scarce(self) -> bool:
        return shutil.disk_usage(self._store.path.parent).free < self._min_free
