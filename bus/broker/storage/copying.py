"""A copy of the database while somebody else writes to it, consistent to one commit.

The log is copied in short steps, each of one moment, so that in between the write-ahead log can be
folded; then one read transaction, the only one that lasts, puts right what changed meanwhile and
takes over the small tables. So the writer is never held up, and nothing that was deleted gets into
the copy: it holds rows, not pages.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from bus.broker.storage.log import bounds

STEP_SECONDS, REST_SECONDS = 0.02, 0.01
"""How long a step takes, and the time after it in which the writer finds no reader in the way."""

FEWEST_ROWS, MOST_ROWS = 4, 100_000  # of one step
PASSES, FEW_SECONDS = 20, 0.2
"""How often it looks for what came meanwhile, unless a look took only so long."""

_BUSY_WAITS_MS = 10_000
_LOG = "log"


class Copy:
    """A copy that is being made.

    Args:
        source: the database.
        target: a file that is empty or not there yet.
        still: nobody writes to the source, and nothing lies in its write-ahead log.
        progress: told of each step.

    Raises:
        sqlite3.Error: one of them cannot be opened.
    """

    def __init__(
        self, source: Path, target: Path, *, still: bool, progress: Callable[[], None]
    ) -> None:
        self._progress, self._still = progress, still
        self._rows = FEWEST_ROWS
        self._file = os.open(target, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._db = sqlite3.connect(
            f"file:{quote(str(target.absolute()))}", uri=True, isolation_level=None
        )
        options = "mode=ro&immutable=1" if still else "mode=ro"
        self._db.execute(f"pragma busy_timeout = {_BUSY_WAITS_MS}")
        self._db.execute("attach ? as live", (f"file:{quote(str(source.absolute()))}?{options}",))

    def close(self) -> None:
        """Close both."""
        self._db.close()
        os.close(self._file)

    def run(self) -> None:
        """Make the copy.

        Raises:
            sqlite3.Error: it could not be made; what there is of it is of no use.
        """
        tables = self._prepare()
        for _ in range(PASSES):
            started = time.perf_counter()
            self._catch_up()
            if time.perf_counter() - started < FEW_SECONDS:
                break
        self._db.execute("begin")
        self._settle()
        for table in tables:  # names of our own, or of SQLite
            self._db.execute(f"delete from main.{table}")  # noqa: S608
            self._db.execute(f"insert into main.{table} select * from live.{table}")  # noqa: S608
        self._db.execute("commit")
        self._db.execute("detach live")
        self._db.execute("pragma main.journal_mode = wal")

    def _prepare(self) -> list[str]:
        """Make the tables as they are, and return the names of all but the log's."""
        for pragma in ("page_size", "auto_vacuum"):
            value = int(self._db.execute(f"pragma live.{pragma}").fetchone()[0])
            self._db.execute(f"pragma main.{pragma} = {value}")
        # The file is of no use before it is whole, and is synced then.
        self._db.execute("pragma main.journal_mode = off")
        self._db.execute("pragma main.synchronous = off")
        # What is deleted between two steps is not to be found in the copy either.
        self._db.execute("pragma main.secure_delete = on")
        self._db.execute("begin")
        made = self._db.execute(
            "select type, name, sql from live.sqlite_master where sql is not null "
            "order by type = 'table' desc, rowid"
        ).fetchall()
        tables = []
        for kind, name, sql in made:
            if not name.startswith("sqlite_"):
                self._db.execute(sql)
            if kind == "table" and name != _LOG:
                tables.append(name)
        for pragma in ("application_id", "user_version"):
            value = int(self._db.execute(f"pragma live.{pragma}").fetchone()[0])
            self._db.execute(f"pragma main.{pragma} = {value}")
        self._db.execute("commit")
        return tables

    def _catch_up(self) -> None:
        """Copy what each partition has behind what was copied of it."""
        numbers = [number for (number,) in self._db.execute("select number from live.partitions")]
        for number in sorted(numbers):
            low, high = bounds(number)
            after, end = self._db.execute(
                "select coalesce((select max(position) from main.log "
                "where position between :low and :high), :low - 1), "
                "(select max(position) from live.log where position between :low and :high)",
                {"low": low, "high": high},
            ).fetchone()
            # Up to what is the end now: more may come as fast as it is copied.
            while end is not None and (last := self._step(after, end)) is not None:
                after = last

    def _step(self, after: int, high: int) -> int | None:
        """Copy some rows, as many as a step's time allows; return the key of the last."""
        started = time.perf_counter()
        before = self._db.total_changes
        self._db.execute(
            "insert into main.log select * from live.log where position > ? and position <= ? "
            "order by position limit ?",
            (after, high, self._rows),
        )
        if self._db.total_changes == before:
            return None
        self._progress()
        if not self._still:
            # Or all of it would be written out at once in the end, and commits would wait for that.
            os.fdatasync(self._file)
        if time.perf_counter() - started > STEP_SECONDS:
            self._rows = max(self._rows // 2, FEWEST_ROWS)
        else:
            self._rows = min(self._rows * 2, MOST_ROWS)
        (last,) = self._db.execute(
            "select max(position) from main.log where position between ? and ?", (after, high)
        ).fetchone()
        if not self._still:
            time.sleep(REST_SECONDS)
        return int(last)

    def _settle(self) -> None:
        """Make the log's rows those of this moment. Seal and checksum tell a row that changed."""
        self._db.execute(
            "delete from main.log where not exists (select 1 from live.log as there "
            "where there.position = log.position and there.seal = log.seal "
            "and there.checksum = log.checksum)"
        )
        self._db.execute(
            "insert into main.log select * from live.log as there where not exists "
            "(select 1 from main.log as here where here.position = there.position)"
        )
