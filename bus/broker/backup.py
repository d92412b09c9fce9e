"""`stadtbus broker backup` and `restore`: copies that are whole before they count."""

import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bus.broker.check import Progress, Report, check, nothing
from bus.broker.directory import Directory, known_version, look, undisturbed
from bus.broker.storage.copying import Copy
from bus.broker.storage.database import fold, now_ms
from bus.broker.storage.examiner import Examiner
from bus.broker.storage.store import Store
from bus.errors import Conflict, StorageUnusable
from bus.files import sync

SPARE_BYTES = 16 * 2**20
"""Space that must be left on the copy's disk, for what is written while it is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """A copy that was made, and what was found when it was checked.

    Attributes:
        replaced: where the database is now that was there before; None if there was none.
    """

    size_bytes: int
    topics: int
    seconds: float
    report: Report
    replaced: Path | None = None


def backup(
    database: Path,
    target: Path,
    *,
    force: bool = False,
    spare: int = SPARE_BYTES,
    progress: Progress = nothing,
) -> Copied:
    """Copy a database, also while a broker writes to it; the copy is that of one commit.

    The copy appears under its name once it is whole, checked and synced. What is damaged is copied
    as it is, and named in the report.

    Args:
        database: the broker's.
        target: the file to be made, for the user who makes it alone.
        force: replace a file that is there.
        spare: bytes that must be left on the copy's disk.
        progress: told now and then how far it is.

    Raises:
        NotFound: there is no such database.
        Conflict: there is a file of the target's name, a copy of that name is being made, or the
            target lies in the broker's own folder.
        StorageUnusable: the database cannot be read, or the copy not written.
    """
    started = time.perf_counter()
    _require_target(database, target, force=force)
    with _copied(database, target.with_name(f"{target.name}.part"), spare, progress) as making:
        report = check(making, max_unpacked=None, progress=progress)
        topics = _topics(making)
        making.replace(target)
    sync(target.parent)
    return Copied(
        size_bytes=target.stat().st_size,
        topics=topics,
        seconds=time.perf_counter() - started,
        report=report,
    )


def restore(
    file: Path,
    folder: Path,
    *,
    max_unpacked: int,
    force: bool = False,
    damaged: bool = False,
    progress: Progress = nothing,
) -> Copied:
    """Put a backup in a broker's place, once it was copied there and checked as a whole.

    The cluster's id stays: it is the same one, as it was then. Producers' ids go on far above all
    that were ever given, so that no producer of the time after the backup meets another's sequence.

    Args:
        file: the backup; it stays as it is.
        folder: the broker's.
        max_unpacked: bytes that one batch's records may unpack to.
        force: replace a database that is there; it is kept under another name.
        damaged: restore what is damaged, too; such partitions are out of service.
        progress: told now and then how far it is.

    Raises:
        NotFound: there is no such backup.
        StorageInUse: a broker runs on the folder.
        Conflict: the folder has a database.
        StorageUnusable: the backup is damaged or none, or the folder cannot be written to.
    """
    started = time.perf_counter()
    look(file)
    directory = Directory(folder)
    directory.hold()
    try:
        if directory.database.exists() and not force:
            raise Conflict(
                "there is a database already",
                where=str(directory.database),
                remedy="choose another folder, or replace it with --force",
            )
        making = directory.database.with_name(f"{directory.database.name}.restoring")
        with _copied(file, making, SPARE_BYTES, progress) as copy:
            report = check(copy, max_unpacked=max_unpacked, progress=progress)
            if report.damages and not damaged:
                raise _damaged(file, report)
            _renumber(copy)
            topics = _topics(copy)
            replaced = _put_aside(directory.database)
            copy.replace(directory.database)
        sync(folder)
    finally:
        directory.release()
    return Copied(
        size_bytes=directory.database.stat().st_size,
        topics=topics,
        seconds=time.perf_counter() - started,
        report=report,
        replaced=replaced,
    )


def _require_target(database: Path, target: Path, *, force: bool) -> None:
    # Path.is_dir raises where one may not look; the attempt to write says so in a sentence.
    if os.path.isdir(target):  # noqa: PTH112  # see above
        raise Conflict(
            "this is a folder", where=str(target), remedy="name the file that is to be made in it"
        )
    # Or --force would put a copy in the place of the database that a broker is writing to.
    if target.parent.resolve() == database.parent.resolve():
        raise Conflict(
            "this is the broker's own folder",
            where=str(target.parent),
            remedy="choose another one, best on another disk",
        )
    if os.path.lexists(target) and not force:
        raise Conflict(
            "there is such a file already",
            where=str(target),
            remedy="choose another name, or replace it with --force",
        )


@contextmanager
def _copied(source: Path, making: Path, spare: int, progress: Progress) -> Iterator[Path]:
    """Copy a database and sync the copy, which is removed unless it was given another name."""
    look(source)
    try:
        with _reserved(making):
            with undisturbed(source) as (_, still):
                size = _size(source, still=still)
                _require_space(making.parent, size + spare)
                _copy(source, making, still, lambda: progress("copy", making.stat().st_size, size))
            _sync_file(making)
            yield making
    except sqlite3.Error as error:
        raise StorageUnusable(
            f"the copy cannot be made: {error}",
            where=f"{source}, {making}",
            remedy="see that there is space, and have the database checked: stadtbus broker check",
        ) from error
    except OSError as error:
        raise StorageUnusable(
            f"the copy cannot be made: {error.strerror}",
            where=str(making.parent),
            remedy="choose a folder that is there and that this user can write to",
        ) from error


@contextmanager
def _reserved(making: Path) -> Iterator[None]:
    """Hold an empty file, which is removed in the end unless it was given another name.

    Of two that wrote the same file one would give its name to what the other had half made.
    """
    descriptor = os.open(making, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _hold(descriptor, making):
            raise Conflict(
                "a copy of this name is being made",
                where=str(making),
                remedy="wait for its end, or choose another name",
            )
        try:
            os.ftruncate(descriptor, 0)  # what was left by one that was killed
            _remove_logs(making)
            yield
        finally:
            _remove(making)
    finally:
        os.close(descriptor)


def _hold(descriptor: int, making: Path) -> bool:
    """Lock a file; False if another process has, or had and has renamed or removed it since."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), making.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _copy(source: Path, making: Path, still: bool, progress: Callable[[], None]) -> None:
    copy = Copy(source, making, still=still, progress=progress)
    try:
        copy.run()
    finally:
        copy.close()


def _size(source: Path, *, still: bool) -> int:
    examiner = Examiner(source, still=still)
    try:
        known_version(examiner.version(), source)
        return examiner.size()
    finally:
        examiner.close()


def _topics(database: Path) -> int:
    examiner = Examiner(database, still=True)
    try:
        return len({place.topic for place in examiner.places()})
    finally:
        examiner.close()


def _require_space(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise StorageUnusable(
            f"there are {free} bytes free, and {size} are needed",
            where=str(folder),
            remedy="choose a folder on a disk with more space",
        )


def _damaged(file: Path, report: Report) -> StorageUnusable:
    first = report.damage[0]
    place = f"{first.topic}/{first.partition} at {first.offset}: " if first.topic else ""
    return StorageUnusable(
        f"the backup is damaged in {report.damages} places, the first is {place}{first.what}",
        where=str(file),
        remedy=f"take another one; stadtbus broker check --file {file} lists them, and "
        "--accept-damage restores what is whole",
    )


def _renumber(database: Path) -> None:
    """Let producers' ids go on where none was given yet: no broker gives a thousand a second."""
    store = Store(database)
    try:
        store.begin()
        store.digest.forget()
        store.producers.skip(now_ms())
        store.commit()
    finally:
        store.close()
    _sync_file(database)


def _put_aside(database: Path) -> Path | None:
    """Give a database that is to be replaced a second name, and leave no write-ahead log behind.

    A log that was left would be taken for that of the database which comes in its place.
    """
    if not database.exists():
        return None
    aside = database.with_name(f"{database.name}.replaced")
    _remove(aside)
    with suppress(sqlite3.Error):  # damaged: its log is kept beside it
        fold(database)
    os.link(database, aside)
    for end in ("-wal", "-shm"):
        left = database.with_name(database.name + end)
        if left.exists():
            left.rename(aside.with_name(aside.name + end))
    return aside


def _remove(database: Path) -> None:
    database.unlink(missing_ok=True)
    _remove_logs(database)


def _remove_logs(database: Path) -> None:
    for end in ("-wal", "-shm", "-journal"):
        database.with_name(database.name + end).unlink(missing_ok=True)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
