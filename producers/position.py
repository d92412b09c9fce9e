"""How many rows of each file are done: acknowledged, or refused before one that was.

What was published after the last position that was written down is published again after a crash,
under the same ids.
"""

from pathlib import Path

from producers.memory import Memory

VERSION = 1
TABLES = (
    """
    CREATE TABLE position (file TEXT PRIMARY KEY, rows INTEGER NOT NULL) WITHOUT ROWID
    """,
)


class Positions(Memory):
    """The positions in all files, in one SQLite file; see `Memory` for what it raises.

    Args:
        path: the SQLite file; made if there is none.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, VERSION, TABLES)

    def of(self, file: str) -> int:
        """Return how many rows of a file are done; 0 for a new one."""
        found = self.db.execute("SELECT rows FROM position WHERE file = ?", (file,)).fetchone()
        return int(found[0]) if found else 0

    def advance(self, file: str, rows: int) -> None:
        """Write down how many rows of a file are done."""
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO position (file, rows) VALUES (?, ?)", (file, rows))
