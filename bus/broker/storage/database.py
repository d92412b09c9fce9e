"""The database file: opened, made, brought to the present version."""

import sqlite3
import time
from pathlib import Path
from uuid import uuid4

from bus.broker.storage import schema

APPLICATION = 0x53544255  # "STBU", in the database's header
NAME = "broker.db"
BUSY_WAITS_MS = 10_000


def connect(path: Path) -> sqlite3.Connection:
    """Open the database for use by one thread at a time."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(f"pragma busy_timeout = {BUSY_WAITS_MS}")
    connection.execute("pragma synchronous = full")
    connection.execute("pragma wal_autocheckpoint = 250")
    return connection


def create(path: Path) -> None:
    """Make an empty database at a path where nothing is; what is half made is not left behind."""
    making = path.with_suffix(".new")
    for left in (making, *making.parent.glob(making.name + "-*")):
        left.unlink(missing_ok=True)
    connection = sqlite3.connect(making, isolation_level=None)
    try:
        connection.execute("pragma page_size = 16384")
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


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000
