"""How far into each file everything has been acknowledged.

A position counts cells: rows times channels, in the order of the file. What was published after the
last position that was written down is published again after a crash, under the same ids.
"""

from collections.abc import Mapping
from pathlib import Path

from producers.memory import Memory

VERSION = 1
TABLES = (
    """
    CREATE TABLE position (
        file TEXT PRIMARY KEY, channels TEXT NOT NULL, cells INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
)


class Positions(Memory):
    """The positions in all files, in one SQLite file; see `Memory` for what it raises.

    Args:
        path: the SQLite file; made if there is none.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, VERSION, TABLES)

    def of(self, file: str) -> tuple[str, int] | None:
        """Return the channels that a file had and the cells that are done, None for a new file."""
        found = self.db.execute("SELECT channels, cells FROM position WHERE file = ?", (file,))
        row: tuple[str, int] | None = found.fetchone()
        return row

    def advance(self, done: Mapping[str, tuple[str, int]]) -> None:
        """Write down the channels and cells of each file that went on."""
        with self.transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO position (file, channels, cells) VALUES (?, ?, ?)",
                ((file, channels, cells) for file, (channels, cells) in done.items()),
            )
