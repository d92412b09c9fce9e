"""The database of who may log in to the portal, and of who has; beside the node's other data."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from bus.errors import StorageUnusable
from bus.security import LOGINS

_BUSY_SECONDS = 5.0
_TABLES = """
create table if not exists user (
    name text primary key,
    role integer not null,
    hash text not null
) strict;
create table if not exists officer (
    name text primary key,
    member text not null
) strict;
create table if not exists session (
    hash blob primary key,
    issuer text not null,
    subject text not null,
    name text not null,
    role integer not null,
    id_token text not null,
    began real not null,
    seen real not null
) strict, without rowid;
create index if not exists session_of on session (issuer, subject);
"""


class Database:
    """The database; the node and commands beside it may have it open at the same time.

    Args:
        data: the node's data folder, which is made.

    Raises:
        StorageUnusable: it cannot be opened.
    """

    def __init__(self, data: Path) -> None:
        self._file, self._lock = data / LOGINS, Lock()
        try:
            data.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._connection = sqlite3.connect(
                self._file, timeout=_BUSY_SECONDS, check_same_thread=False
            )
            try:
                self._connection.execute("pragma journal_mode = wal")
                self._connection.execute("pragma synchronous = full")  # who is out, stays out
                self._connection.execute("pragma secure_delete = on")
                self._connection.executescript(_TABLES)
            except BaseException:
                self._connection.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        """Close it."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Do something whole or not at all; any thread may, one at a time.

        Raises:
            StorageUnusable: the database cannot be read or written.
        """
        try:
            with self._lock, self._connection as connection:
                yield connection
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> StorageUnusable:
        reason = getattr(error, "strerror", None) or error
        return StorageUnusable(
            f"who may log in to the portal cannot be read: {reason}",
            where=str(self._file),
            remedy="let this user read and write the file, or bring it back from a backup",
        )
