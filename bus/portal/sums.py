"""Events by the minute for eight days, in a database of the portal's own.

It holds no event and nothing that a bus could lose: a database that is none, or is damaged, is put
aside, and counting begins anew. One that cannot be opened just now, as the disk is full, stays
where it is and is tried again.
"""

import logging
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import NamedTuple

log = logging.getLogger(__name__)

MINUTE = 60
KEPT_MINUTES = 8 * 24 * 60
MOST_APART = 300.0
"""Seconds between two readings beyond which nobody can say when the events between them came."""

_BUSY_MS = 1000
_TABLE = """
create table if not exists minute (
    minute integer primary key,
    seconds real not null,
    received real not null,
    sent real not null
) strict
"""
_ADD = """
insert into minute values (?, ?, ?, ?) on conflict (minute) do update set
    seconds = seconds + excluded.seconds,
    received = received + excluded.received,
    sent = sent + excluded.sent
"""
_READ = """
select minute / :step, sum(seconds), sum(received), sum(sent)
from minute where minute >= :first and minute < :end group by 1
"""


class Sum(NamedTuple):
    """What was counted in a while.

    Args:
        seconds: how much of it was counted at all.
        received: events that came in.
        sent: events that subscribers have handled.
    """

    seconds: float
    received: float
    sent: float


def spread(begin: float, end: float, received: float, sent: float) -> dict[int, Sum]:
    """Return what each minute has of a while that was counted as a whole.

    Args:
        begin, end: the while, in seconds since 1970.
        received, sent: events a second in it.
    """
    found: dict[int, Sum] = {}
    if not 0 < end - begin <= MOST_APART:
        return found
    for minute in range(int(begin // MINUTE), int(end // MINUTE) + 1):
        seconds = min(end, (minute + 1) * MINUTE) - max(begin, minute * MINUTE)
        if seconds > 0:
            found[minute] = Sum(seconds, received * seconds, sent * seconds)
    return found


class Sums:
    """The database; any thread may use it.

    Args:
        file: where it lies; its folder is made.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, Lock()
        self._connection: sqlite3.Connection | None = None
        self._again = False

    def open(self) -> None:
        """Open the database, or begin a new one in the place of one that is none.

        Where neither can be done nothing is counted for now: the node has more to do than this.
        """
        with self._lock:
            self._try()

    def close(self) -> None:
        """Close it; from now on nothing is kept, and nothing is known."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection, self._again = None, False

    def add(self, counted: Mapping[int, Sum]) -> None:
        """Add to the sums of minutes (since 1970), and forget those that are too old.

        A database that cannot be written costs the sums, nothing else.
        """
        if not counted:
            return
        with self._lock:
            if self._again:
                self._try()
            if self._connection is None:
                return
            try:
                with self._connection as transaction:
                    rows = [(minute, *sums) for minute, sums in counted.items()]
                    transaction.executemany(_ADD, rows)
                    oldest = max(counted) - KEPT_MINUTES
                    transaction.execute("delete from minute where minute <= ?", (oldest,))
            except sqlite3.Error as error:
                log.warning("%s cannot be written: %s", self._file, error)

    def read(self, first: int, end: int, step: int = 1) -> dict[int, Sum]:
        """Return the sums of whiles that anything is known of, by their numbers.

        Args:
            first, end: from which minute on, and before which.
            step: minutes of a while; the while with number n begins at minute n times step.
        """
        with self._lock:
            if self._connection is None:
                return {}
            try:
                wanted = {"first": first, "end": end, "step": step}
                rows = self._connection.execute(_READ, wanted).fetchall()
            except sqlite3.Error as error:
                log.warning("%s cannot be read: %s", self._file, error)
                return {}
        return {number: Sum(*sums) for number, *sums in rows}

    def _try(self) -> None:
        """Open the database if that can be done."""
        told, self._again = self._again, False
        try:
            self._connection = self._opened_or_new()
        except (OSError, sqlite3.DatabaseError) as error:
            if _is(error, sqlite3.SQLITE_BUSY):
                log.warning("%s is another portal's: nothing is counted here", self._file)
                return
            self._again = True
            if not told:
                log.warning("%s cannot be opened, and is tried again: %s", self._file, error)

    def _opened_or_new(self) -> sqlite3.Connection:
        try:
            return self._opened()
        except sqlite3.DatabaseError as error:
            if not _is(error, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                raise
            log.warning("%s cannot be read and is put aside: %s", self._file, error)
            self._put_aside()
            return self._opened()

    def _opened(self) -> sqlite3.Connection:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(self._file, check_same_thread=False)
        try:
            connection.execute(f"pragma busy_timeout = {_BUSY_MS}")
            connection.execute("pragma locking_mode = exclusive")  # two portals would count double
            connection.execute("pragma journal_mode = wal")
            # A power cut may cost the last sums, never the database; kill -9 costs nothing.
            connection.execute("pragma synchronous = normal")
            with connection:
                connection.execute(_TABLE)
                connection.execute(_ADD, (0, 0.0, 0.0, 0.0))  # takes the lock
                connection.execute("delete from minute where minute = 0")
                connection.execute("select sum(seconds) from minute").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def _put_aside(self) -> None:
        for left in self._file.parent.glob(f"{self._file.name}-*"):
            left.unlink()
        self._file.replace(self._file.with_suffix(".unreadable"))


def _is(error: Exception, *codes: int) -> bool:
    """Whether an error is one of SQLite's; what it adds to a code is left out."""
    return isinstance(error, sqlite3.Error) and error.sqlite_errorcode & 0xFF in codes
