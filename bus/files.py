"""Files that a crash leaves whole or not at all, and that nobody else can read."""

import os
from pathlib import Path


def write(file: Path, content: bytes) -> None:
    """Write a file that is not there yet, and sync it.

    Raises:
        OSError: it is there, or cannot be written.
    """
    opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(opened, "wb") as writing:
        writing.write(content)
        writing.flush()
        os.fsync(writing.fileno())


def replace(file: Path, content: bytes) -> None:
    """Put a file in the place of the one that is there, if any, at once.

    Raises:
        OSError: it cannot be written.
    """
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)  # left by a crash
    write(draft, content)
    draft.replace(file)
    sync(file.parent)


def sync(folder: Path) -> None:
    """Have the names in a folder reach the disk."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
