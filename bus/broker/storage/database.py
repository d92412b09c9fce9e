"""The database file: opened, made, brought to the present version."""

import os
import sqlite3
import struct
import time
from pathlib import Path
from uuid import uuid4

from bus.broker.storage import schema

APPLICATION = 0x53544255  # "STBU", in the database's header
NAME = "broker.db"
BUSY_WAITS_MS = 10_000
PAGE_BYTES = 16384
FOLD_PAGES = 110
"""Pages in the write-ahead log from which on a commit folds them into the database: 1.8 MB."""

UNREADABLE = (
    sqlite3.Error,
    ArithmeticError,
    LookupError,
    SystemError,
    TypeError,
    ValueError,
    struct.error,
)
"""What is raised over damaged bytes: by SQLite, or by whoever makes values of what it lets pass."""
_PASSING = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def connect(path: Path) -> sqlite3.Connection:
    """Open the database for use by one thread at a time."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(f"pragma busy_timeout = {BUSY_WAITS_MS}")
    connection.execute("pragma synchronous = full")
    connection.execute(f"pragma wal_autocheckpoint = {FOLD_PAGES}")
    return connection


def create(path: Path) -> None:
    """Make an empty database at a path where nothing is; what is half made is not left behind."""
    making = path.with_suffix(".new")
    for left in (making, *making.parent.glob(making.name + "-*")):
        left.unlink(missing_ok=True)
    # It holds credentials. SQLite gives its write-ahead log the same mode.
    os.close(os.open(making, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(making, isolation_level=None)
    try:
        connection.execute(f"pragma page_size = {PAGE_BYTES}")
        connection.execute("pragma auto_vacuum = incremental")
        connection.execute("pragma journal_mode = wal")
        connection.execute("begin")
        for statement in schema.TABLES:
            connection.execute(statement)
        connection.execute("insert into meta values ('cluster', ?)", (uuid4().bytes,))
        connection.execute("insert into meta values ('next_producer', 1000)")
        connection.execute(f"pragma application_id = {APPLICATION}")
        connection.execute(f"pragma user_version = {schema.VERSION}")
        connection.execute("commit")
    finally:
        connection.close()
    making.rename(path)


def migrate(path: Path) -> int:
    """Bring a database of an older version to the present one, in one transaction.

    One of a version that is not known is left as it is.

    Args:
        path: the database, which nobody else uses.

    Returns:
        the version that it had.

    Raises:
        sqlite3.Error: nothing was changed.
    """
    connection = connect(path)
    try:
        # Asked here and not read off the file: it may still lie in the write-ahead log.
        version = int(connection.execute("pragma user_version").fetchone()[0])
        if version in schema.STEPS:
            connection.execute("begin immediate")
            for step in range(version, schema.VERSION):
                for statement in schema.STEPS[step]:
                    connection.execute(statement)
            connection.execute("delete from meta where name = 'digest'")
            connection.execute(f"pragma user_version = {schema.VERSION}")
            connection.execute("commit")
        return version
    finally:
        connection.close()


def fold(path: Path) -> None:
    """Bring what lies in a database's write-ahead log into the database, and empty the log.

    Args:
        path: the database, which nobody else uses.

    Raises:
        sqlite3.Error: it cannot be read; the log is as it was.
    """
    connection = connect(path)
    try:
        connection.execute("pragma wal_checkpoint(truncate)")
    finally:
        connection.close()


def passing(error: Exception) -> bool:
    """Say whether a failure leaves no doubt about what is stored, so that one may go on.

    That is want of space, and another connection that was in the way for too long. After a failed
    write or sync nobody knows what the disk holds, and trying again may seem to succeed.
    """
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.Error) and code is not None and code & 0xFF in _PASSING


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000
