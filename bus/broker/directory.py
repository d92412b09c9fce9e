"""The broker's folder: made, locked and looked at before anything in it is touched."""

import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bus.broker.storage.database import APPLICATION, NAME, UNREADABLE, create, migrate
from bus.broker.storage.schema import STEPS, VERSION
from bus.errors import NotFound, StorageInUse, StorageUnusable
from bus.files import sync

LOCK = "broker.lock"
_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_NAME_IT = "name the node's folder with --data, or a backup that was made of its database"
_APPLICATION_AT = 68  # https://sqlite.org/fileformat.html, section 1.3
_LOG_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24  # section 4.1
_FIRST_PAGE = b"\0\0\0\1"


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
        self._take(self._inspect)

    def hold(self) -> None:
        """Lock the folder and leave what is in it as it is.

        Raises:
            StorageInUse: another process holds it.
            StorageUnusable: it is not writable.
        """
        self._take(lambda: None)

    def _take(self, look: Callable[[], None]) -> None:
        try:
            _make(self.path)
            self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            look()
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
            sync(self.path)
            return
        if not os.access(self.database, os.R_OK | os.W_OK):
            raise PermissionError(13, "the database is not writable")
        _identify(self.database)
        self._migrate()

    def _migrate(self) -> None:
        try:
            version = migrate(self.database)
        except UNREADABLE as error:
            raise StorageUnusable(
                f"the database cannot be read: {error}",
                where=str(self.database),
                remedy="restore it from a copy",
            ) from error
        known_version(version, self.database)


def look(database: Path) -> None:
    """Look at a file's header alone.

    Raises:
        NotFound: there is no such file.
        StorageUnusable: it cannot be read, or is no database of the broker.
    """
    try:
        _identify(database)
    except FileNotFoundError as error:
        raise NotFound(
            "there is no such file",
            where=str(database),
            remedy=_NAME_IT,
        ) from error
    except OSError as error:
        raise _unreadable(database, error) from error


def _unreadable(file: Path, error: OSError) -> StorageUnusable:
    misnamed = isinstance(error, IsADirectoryError | NotADirectoryError)
    return StorageUnusable(
        f"the file cannot be read: {error.strerror}",
        where=str(file),
        remedy=_NAME_IT if misnamed else "run this as the user that the broker runs as",
    )


def known_version(version: int, database: Path) -> None:
    """Refuse a database of a version that is not known.

    Raises:
        StorageUnusable: it is newer than this program.
    """
    if version not in {*STEPS, VERSION}:
        raise StorageUnusable(
            f"the database has version {version}, this program knows {VERSION}",
            where=str(database),
            remedy="use the program's version that wrote it, or a newer one",
        )


@contextmanager
def undisturbed(database: Path) -> Iterator[tuple[bool, bool]]:
    """Keep a broker from being started on a database while it is read; one that runs is let be.

    Yields:
        whether no broker runs on it, and whether in addition nothing lies in its write-ahead log.

    Raises:
        StorageUnusable: it cannot be seen whether a broker runs on it.
    """
    log, index = (database.with_name(database.name + end) for end in ("-wal", "-shm"))
    lock = database.parent / LOCK
    try:
        locked = _locked_by(database, lock)
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC) if locked else None
    except OSError as error:
        raise _unreadable(lock, error) from error
    indexed = index.exists()
    alone = True
    try:
        if descriptor is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                alone = False
        yield alone, alone and not (log.exists() and log.stat().st_size)
    finally:
        # Made by reading a write-ahead log that a crash left. Looked for first, because on a disk
        # that is read only it is a failure to remove even what is not there.
        if alone and not indexed and index.exists():
            index.unlink(missing_ok=True)
        if descriptor is not None:
            os.close(descriptor)


def _locked_by(database: Path, lock: Path) -> bool:
    """Whether a database is the one that this lock is for, and not a copy beside it."""
    return database.name == NAME and lock.exists()


def _identify(database: Path) -> None:
    if not any(_ours(header) for header in _headers(database)):
        raise StorageUnusable(
            "the file is not a database of this broker",
            where=str(database),
            remedy=_NAME_IT,
        )


def _ours(header: bytes) -> bool:
    (application,) = struct.unpack_from(">I", header.ljust(_HEADER_BYTES), _APPLICATION_AT)
    return header.startswith(_MAGIC) and application == APPLICATION


def _headers(database: Path) -> Iterator[bytes]:
    """Yield the database's header, and those in its write-ahead log.

    If the power went while the log was folded, the first page of the file may be torn; it is whole
    in the log. Whether what is there holds, SQLite finds out.
    """
    with database.open("rb") as file:
        yield file.read(_HEADER_BYTES)
    log = database.with_name(database.name + "-wal")
    if not log.exists():
        return
    with log.open("rb") as file:
        page = int.from_bytes(file.read(_LOG_HEADER_BYTES)[8:12], "big")
        while (
            page > _HEADER_BYTES
            and len(frame := file.read(_FRAME_HEADER_BYTES)) == _FRAME_HEADER_BYTES
        ):
            if frame.startswith(_FIRST_PAGE):
                yield file.read(_HEADER_BYTES)
                file.seek(page - _HEADER_BYTES, os.SEEK_CUR)
            else:
                file.seek(page, os.SEEK_CUR)


def _make(folder: Path) -> None:
    """Make a folder and those it lies in, and their names durable."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)
