"""What a broker does with the names in its folder beside SQLite: a first start is made of it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ops.torture.broker.disk import Change, Create, Delete, Rename, SyncNames


@contextmanager
def names(folder: Path, note: Callable[[Change], None]) -> Iterator[None]:
    """Note which files of a folder Python makes, renames and removes while the block runs.

    Args:
        folder: the broker's.
        note: called with each change, after it was made.
    """
    usual_open, usual_rename, usual_unlink, usual_sync = os.open, os.rename, os.unlink, os.fsync

    def mine(path: Any) -> bool:
        return not isinstance(path, int) and Path(path).parent == folder

    def opened(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        new = flags & os.O_CREAT and mine(path) and not Path(path).exists()
        descriptor = usual_open(path, flags, *rest, **more)
        if new:
            note(Create(str(path)))
        return descriptor

    def renamed(path: Any, name: Any, **more: Any) -> None:
        usual_rename(path, name, **more)
        if mine(path):
            note(Rename(str(path), str(name)))

    def unlinked(path: Any, **more: Any) -> None:
        usual_unlink(path, **more)
        if mine(path):
            note(Delete(str(path), synced=False))

    def synced(descriptor: int) -> None:
        usual_sync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path == folder:
            note(SyncNames(str(path)))

    with (
        patch.object(os, "open", opened),
        patch.object(os, "rename", renamed),
        patch.object(os, "unlink", unlinked),
        patch.object(os, "fsync", synced),
    ):
        yield
