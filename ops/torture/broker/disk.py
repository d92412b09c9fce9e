"""A layer under SQLite's file access: it writes down what reaches the disk, and lets it fail.

It is a virtual file system of SQLite's own kind (https://sqlite.org/vfs.html), registered in the
very library that Python's `sqlite3` uses, so the broker above it runs unchanged: files are opened
by SQLite's usual functions, and the few that change a file are replaced.
"""

import _sqlite3
import ctypes
import threading
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p, cast
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

_OK, _FULL = 0, 13
_IOERR_WRITE, _IOERR_FSYNC = 10 | 3 << 8, 10 | 4 << 8


class Write(NamedTuple):
    """Bytes that were written to a file."""

    file: str
    offset: int
    data: bytes


class Truncate(NamedTuple):
    """A file that was cut off."""

    file: str
    size: int


class Sync(NamedTuple):
    """A file whose bytes are on the disk for sure, as far as it was written."""

    file: str


class Create(NamedTuple):
    """A file that was not there before."""

    file: str


class Delete(NamedTuple):
    """A file that was removed; `synced` says that this is on the disk for sure."""

    file: str
    synced: bool


class Rename(NamedTuple):
    """A file that has another name now, in one step."""

    file: str
    name: str


class SyncNames(NamedTuple):
    """A folder whose names are on the disk for sure."""

    folder: str


Change = Write | Truncate | Sync | Create | Delete | Rename | SyncNames


class Operation(StrEnum):
    """What can fail."""

    WRITE = "write"
    SYNC = "sync"
    CHECKPOINT_WRITE = "checkpoint's write"  # of what was committed before
    CHECKPOINT_SYNC = "checkpoint's sync"


_CHECKPOINT = {
    Operation.WRITE: Operation.CHECKPOINT_WRITE,
    Operation.SYNC: Operation.CHECKPOINT_SYNC,
}


class Failure(StrEnum):
    """How it fails."""

    EIO = "EIO"
    ENOSPC = "ENOSPC"


class _Methods(Structure):
    """sqlite3_io_methods, version 3."""

    _fields_ = (
        ("version", c_int),
        *((name, c_void_p) for name in ("close", "read", "write", "truncate", "sync", "size")),
        *((f"rest_{number}", c_void_p) for number in range(12)),
    )


class _File(Structure):
    """sqlite3_file."""

    _fields_ = (("methods", POINTER(_Methods)),)


class _Vfs(Structure):
    """sqlite3_vfs, version 3."""

    _fields_ = (
        ("version", c_int),
        ("file_bytes", c_int),
        ("path_bytes", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", c_void_p),
        ("delete", c_void_p),
        *((f"rest_{number}", c_void_p) for number in range(14)),
    )


_Open = CFUNCTYPE(c_int, c_void_p, c_void_p, POINTER(_File), c_int, POINTER(c_int))
_Unlink = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_Close = CFUNCTYPE(c_int, POINTER(_File))
_Put = CFUNCTYPE(c_int, POINTER(_File), c_void_p, c_int, c_int64)
_Cut = CFUNCTYPE(c_int, POINTER(_File), c_int64)
_Flush = CFUNCTYPE(c_int, POINTER(_File), c_int)


class _Opened(NamedTuple):
    """An open file, and SQLite's own functions for it."""

    path: str
    usual: _Methods


def reachable() -> bool:
    """Whether the library that Python's `sqlite3` uses lets itself be called from here."""
    try:
        return bool(_library().sqlite3_vfs_find(None))
    except (AttributeError, OSError):
        return False


def _library() -> Any:
    library = ctypes.CDLL(_sqlite3.__file__)
    library.sqlite3_vfs_find.restype = POINTER(_Vfs)
    library.sqlite3_vfs_find.argtypes = [c_char_p]
    library.sqlite3_vfs_register.argtypes = [POINTER(_Vfs), c_int]
    library.sqlite3_vfs_unregister.argtypes = [POINTER(_Vfs)]
    return library


def _address(function: Any) -> int:
    return cast(function, c_void_p).value or 0


class Disk:
    """What SQLite does to the files of a folder, while the block runs.

    Args:
        folder: the broker's.
        note: called with each change of a file, after it was made.

    Attributes:
        failing: set once the failure that was arranged has happened.
        failed_commit: whether it befell a commit, and not the copying of what was committed
            before: that is done again from the log, which is synced.
    """

    def __init__(self, folder: Path, note: Callable[[Change], None] = lambda _: None) -> None:
        self._folder, self._note = str(folder), note
        self._lock = threading.Lock()
        self._open: dict[int, _Opened] = {}  # by the address of the sqlite3_file
        self._tables: dict[int, tuple[_Methods, Any]] = {}  # by the address of SQLite's own
        self._counts = dict.fromkeys(Operation, 0)
        self._arranged: tuple[Operation, int, Failure] | None = None
        self._full = False
        self._unsynced: set[str] = set()
        self.failing = threading.Event()
        self.failed_commit = False

    def __enter__(self) -> Self:
        self._library = _library()
        self._usual = self._library.sqlite3_vfs_find(None)
        vfs = _Vfs()
        ctypes.memmove(ctypes.byref(vfs), self._usual, ctypes.sizeof(_Vfs))
        self._usual_open = cast(vfs.open, _Open)
        self._usual_unlink = cast(vfs.delete, _Unlink)
        vfs.name, vfs.next = b"torture", None
        self._ours = (_Open(self._opened), _Unlink(self._unlink))
        vfs.open, vfs.delete = (_address(one) for one in self._ours)
        self._vfs = vfs
        self._library.sqlite3_vfs_register(ctypes.byref(vfs), 1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._library.sqlite3_vfs_register(self._usual, 1)
        self._library.sqlite3_vfs_unregister(ctypes.byref(self._vfs))

    def fail(self, operation: Operation, nth: int, failure: Failure) -> None:
        """Let the n-th such operation from now on fail.

        A disk that is full stays full, for all that makes a file longer, until `heal`.
        """
        with self._lock:
            self._counts = dict.fromkeys(Operation, 0)
            self.failing.clear()
            self._arranged = (operation, nth, failure)

    def heal(self) -> None:
        """Let everything succeed from now on."""
        with self._lock:
            self._arranged, self._full = None, False

    def _fails(self, operation: Operation, file: str) -> Failure | None:
        log = file.endswith("-wal")
        with self._lock:
            self._counts[operation] += 1
            if not log:
                self._counts[_CHECKPOINT[operation]] += 1
            if self._arranged is None:
                return None
            awaited, nth, failure = self._arranged
            mine = operation is awaited or (not log and _CHECKPOINT[operation] is awaited)
            if not mine or self._counts[awaited] != nth:
                return None
            self._full = operation is Operation.WRITE and failure is Failure.ENOSPC
            self.failed_commit = log and (operation is Operation.WRITE or file in self._unsynced)
            self.failing.set()
            return failure

    def _opened(self, _: int, name: int, file: Any, flags: int, out: Any) -> int:
        path = ctypes.string_at(name).decode() if name else ""
        new = not Path(path).exists()
        code = self._usual_open(cast(self._usual, c_void_p), name, file, flags, out)
        if code == _OK and path.startswith(self._folder):
            usual = file.contents.methods
            table = ctypes.addressof(usual.contents)
            if table not in self._tables:
                self._tables[table] = self._replaced(usual)
            methods, _ = self._tables[table]
            self._open[ctypes.addressof(file.contents)] = _Opened(path, usual.contents)
            file.contents.methods = ctypes.pointer(methods)
            if new:
                self._note(Create(path))
        return int(code)

    def _replaced(self, usual: Any) -> tuple[_Methods, Any]:
        """Return a table of functions with ours in it, and what must live as long."""
        methods = _Methods()
        ctypes.memmove(ctypes.byref(methods), usual, ctypes.sizeof(_Methods))
        ours = (_Close(self._closed), _Put(self._put), _Cut(self._cut), _Flush(self._flush))
        methods.close, methods.write, methods.truncate, methods.sync = (
            _address(one) for one in ours
        )
        return methods, ours

    def _at(self, file: Any) -> "_Opened":
        return self._open[ctypes.addressof(file.contents)]

    def _closed(self, file: Any) -> int:
        opened = self._open.pop(ctypes.addressof(file.contents))
        return int(cast(opened.usual.close, _Close)(file))

    def _put(self, file: Any, data: int, size: int, offset: int) -> int:
        name, usual = self._at(file)
        put = cast(usual.write, _Put)
        failure = self._fails(Operation.WRITE, name)
        grows = self._full and offset + size > Path(name).stat().st_size
        if failure is Failure.EIO:
            # Some of it may have got there.
            put(file, data, size // 2, offset)
            self._note(Write(name, offset, ctypes.string_at(data, size // 2)))
            return _IOERR_WRITE
        if failure is Failure.ENOSPC or grows:
            return _FULL
        code = int(put(file, data, size, offset))
        if code == _OK:
            self._unsynced.add(name)
            self._note(Write(name, offset, ctypes.string_at(data, size)))
        return code

    def _cut(self, file: Any, size: int) -> int:
        name, usual = self._at(file)
        code = int(cast(usual.truncate, _Cut)(file, size))
        if code == _OK:
            self._note(Truncate(name, size))
        return code

    def _flush(self, file: Any, flags: int) -> int:
        name, usual = self._at(file)
        if self._fails(Operation.SYNC, name) is not None:
            return _IOERR_FSYNC
        code = int(cast(usual.sync, _Flush)(file, flags))
        if code == _OK:
            self._unsynced.discard(name)
            self._note(Sync(name))
        return code

    def _unlink(self, _: int, name: bytes, synced: int) -> int:
        code = int(self._usual_unlink(cast(self._usual, c_void_p), name, synced))
        path = name.decode()
        if code == _OK and path.startswith(self._folder):
            self._note(Delete(path, bool(synced)))
        return code
