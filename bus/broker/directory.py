"""The broker's folder: made, locked and looked at before anything in it is touched."""

import fcntl
import os
import sqlite3
import struct
from pathlib import Path

from bus.broker.storage.database import APPLICATION, NAME, create, migrate
from bus.broker.storage.schema import STEPS, VERSION
from bus.errors import StorageInUse, StorageUnusable

LOCK = "broker.lock"
_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_APPLICATION_AT = 68  # https://sqlite.org/fileformat.html, section 1.3


class Directory:
    """The folder, held by this process until it is released.

    Args:
        path: the folder; it is made if there is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / NAME
        self._lock: int | None = None

    def take(self) -> None:
        """Lock the folder, and make the database if there is none.

        Raises:
            StorageInUse: another process holds it.
            StorageUnusable: it is not writable, or what is in it is not a database of ours.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._inspect()
        except BlockingIOError as error:
            self.release()
            raise StorageInUse(
                "another process uses this folder",
                where=str(self.path),
                remedy="stop it, or choose another folder",
            ) from error
        except OSError as error:
            self.release()
            raise StorageUnusable(
                f"the folder cannot be used: {error.strerror}",
                where=str(self.path),
                remedy="choose a folder that this user can write to",
            ) from error
        except StorageUnusable:
            self.release()
            raise

    def release(self) -> None:
        """Let others have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _inspect(self) -> None:
        if not self.database.exists():
            create(self.database)
            _sync(self.path)
            return
        if not os.access(self.database, os.R_OK | os.W_OK):
            raise PermissionError(13, "the database is not writable")
        with self.database.open("rb") as file:
            header = file.read(_HEADER_BYTES)
        (application,) = struct.unpack_from(">I", header.ljust(_HEADER_BYTES), _APPLICATION_AT)
        if not header.startswith(_MAGIC) or application != APPLICATION:
            raise StorageUnusable(
                "the file is not a database of this broker",
                where=str(self.database),
                remedy="choose another folder",
            )
        self._migrate()

    def _migrate(self) -> None:
        try:
            version = migrate(self.database)
        except sqlite3.Error as error:
            raise StorageUnusable(
                f"the database cannot be read: {error}",
                where=str(self.database),
                remedy="restore it from a copy",
            ) from error
        if version not in {*STEPS, VERSION}:
            raise StorageUnusable(
                f"the database has version {version}, this program knows {VERSION}",
                where=str(self.database),
                remedy="use the program's version that wrote it, or a newer one",
            )


def _sync(directory: Path) -> None:
    """Make a file's name in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
