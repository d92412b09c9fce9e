"""The reading side of `stadtbus broker check`: everything in short statements, nothing changed.

No statement outlives a call, so that beside a running broker its write-ahead log can be folded in
between. Rows are given out as they lie there; who judges them stands in `bus.broker.check`.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from bus.broker.stage import OFFSET_BITS
from bus.broker.storage import schema
from bus.broker.storage.digest import Digest
from bus.broker.storage.log import Log, bounds

CHUNK_BYTES = 8 * 2**20
_MOST_MESSAGES = 100  # of SQLite's own check
_STEPS = 1_000_000  # of SQLite's machine between two signs of life
_BUSY_WAITS_MS = 10_000

# What must be so between tables, and the sentence for each row where it is not.
_REFERENCES: tuple[tuple[set[str], str, str], ...] = (
    (
        {"partitions", "topics"},
        "select number, topic from partitions where topic not in (select number from topics)",
        "partition {0} belongs to topic {1}, which is not there",
    ),
    (
        {"partitions", "topics"},
        (
            "select name, count(partitions.number) from topics left join partitions "
            "on topic = topics.number group by topics.number "
            "having count(partitions.number) = 0 or min(ordinal) <> 0 "
            "or max(ordinal) <> count(partitions.number) - 1"
        ),
        "topic {0} has {1} partitions, whose numbers are not 0 and up",
    ),
    (
        {"partitions", "dropped"},
        "select partition from dropped where partition in (select number from partitions)",
        "partition {0} is in use and dropped",
    ),
    (
        {"producers", "partitions"},
        (
            "select distinct partition from producers "
            "where partition not in (select number from partitions)"
        ),
        "producers are kept for partition {0}, which is not there",
    ),
    (
        {"aborted", "partitions"},
        (
            "select distinct partition from aborted "
            "where partition not in (select number from partitions)"
        ),
        "aborted transactions are kept for partition {0}, which is not there",
    ),
    (
        # Of a topic that is gone a group may have a position: it was committed in that moment.
        {"positions", "partitions", "topics"},
        (
            "select consumers, positions.topic, positions.ordinal from positions "
            "where topic in (select name from topics) and not exists "
            "(select 1 from topics join partitions on partitions.topic = topics.number "
            "where name = positions.topic and partitions.ordinal = positions.ordinal)"
        ),
        "group {0} has a position in {1}/{2}, which is not there",
    ),
    (
        {"meta"},
        (
            "select name from (select 'cluster' as name union select 'next_producer') "
            "where name not in (select name from meta)"
        ),
        "the store's {0} is not there",
    ),
)


class Place(NamedTuple):
    """One partition: its topic's name and number in it, its number in the database, its start."""

    topic: str
    ordinal: int
    number: int
    start: int


class Chunk(NamedTuple):
    """Rows of a partition, each as its columns are; and where the partition starts now.

    Attributes:
        start: None if the partition is not there any more.
    """

    start: int | None
    rows: list[tuple[Any, ...]]


class Examiner:
    """A database that is looked at.

    Args:
        path: the database.
        still: nobody writes to it, and nothing lies in its write-ahead log: no file is made or
            locked beside it then.

    Raises:
        sqlite3.Error: it cannot be opened.
    """

    def __init__(self, path: Path, *, still: bool) -> None:
        options = "mode=ro&immutable=1" if still else "mode=ro"
        self._db = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?{options}", uri=True, isolation_level=None
        )
        self._db.execute(f"pragma busy_timeout = {_BUSY_WAITS_MS}")
        self._db.execute("pragma query_only = on")

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def version(self) -> int:
        """Return the version of the tables."""
        return self._number("user_version")

    def size(self) -> int:
        """Return the bytes of all pages."""
        return self._number("page_count") * self._number("page_size")

    def structure(self, alive: Callable[[], None]) -> Iterator[str]:
        """Yield what SQLite itself finds wrong with its pages, indexes and declared references.

        Args:
            alive: called now and then.
        """

        def tick() -> int:
            alive()
            return 0

        self._db.set_progress_handler(tick, _STEPS)
        try:
            for (message,) in self._db.execute(f"pragma integrity_check({_MOST_MESSAGES})"):
                if message != "ok":
                    yield " ".join(str(message).split())
            for table, row, parent, _ in self._db.execute("pragma foreign_key_check"):
                yield f"row {row} of {table} refers to what is not in {parent}"
        finally:
            self._db.set_progress_handler(None, 0)

    def references(self) -> Iterator[str]:
        """Yield what refers to something that is not there, or is not as it was left."""
        tables = self._tables()
        self._db.execute("begin")
        try:
            for needed, query, sentence in _REFERENCES:
                if needed <= tables:
                    for found in self._db.execute(query).fetchall():
                        yield sentence.format(*found)
            if {"log", "partitions", "dropped"} <= tables:
                yield from self._strays()
            if self.version() == schema.VERSION:
                yield from self._shapes()
            yield from self._left()
        finally:
            self._db.execute("rollback")

    def _shapes(self) -> Iterator[str]:
        """Yield the tables that are not made as this version makes them."""
        with closing(sqlite3.connect(":memory:")) as fresh:
            for statement in schema.TABLES:
                fresh.execute(statement)
            for (name,) in fresh.execute("select name from sqlite_master where type = 'table'"):
                question = 'select name, type, "notnull", pk from pragma_table_xinfo(?)'
                wanted = fresh.execute(question, (name,)).fetchall()
                if self._db.execute(question, (name,)).fetchall() != wanted:
                    yield f"table {name} does not have the columns that it should have"

    def _left(self) -> Iterator[str]:
        """Yield where the store is not as a broker that stopped in order left it."""
        digest = Digest(self._db, Log(self._db).end)
        if digest.differs():
            yield "what is not in the log is not what was written (the tables' digest differs)"
        places = {place.number: place for place in self.places()}
        for number, end in digest.lost().items():
            if number in places:
                place = places[number]
                yield f"{place.topic}/{place.ordinal} does not end at {end}, as it did"

    def _strays(self) -> Iterator[str]:
        """Yield the partitions that rows of the log belong to although nobody knows them."""
        known = {
            number
            for (number,) in self._db.execute(
                "select number from partitions union select partition from dropped"
            )
        }
        after = -1
        while True:
            # From one partition to the next, and not from row to row.
            (found,) = self._db.execute(
                "select min(position) from log where position > ?", (after,)
            ).fetchone()
            if found is None:
                return
            number = found >> OFFSET_BITS
            if number not in known:
                yield f"rows of the log belong to partition {number}, which is not there"
            after = bounds(number)[1]

    def places(self) -> list[Place]:
        """Return all partitions."""
        return [
            Place(*found)
            for found in self._db.execute(
                "select name, ordinal, partitions.number, start from partitions "
                "join topics on topics.number = topic order by name, ordinal"
            )
        ]

    def chunk(self, number: int, offset: int, after: int) -> Chunk:
        """Return some rows of a partition, from the one that begins at the offset or before it.

        Args:
            number: the partition's number in the database.
            offset: where to begin; the partition's start if that is later.
            after: the key of a row that was seen, as all before it were.
        """
        low, high = bounds(number)
        self._db.execute("begin")  # start and rows are of one moment
        try:
            found = self._db.execute(
                "select start from partitions where number = ?", (number,)
            ).fetchone()
            if found is None:
                return Chunk(None, [])
            wanted = low + max(offset, int(found[0]))
            (first,) = self._db.execute(
                "select max(position) from log where position between ? and ?", (low, wanted)
            ).fetchone()
            begin = wanted if first is None else int(first)
            return Chunk(int(found[0]), self._rows(max(begin, after + 1), high))
        finally:
            self._db.execute("rollback")

    def _rows(self, first: int, high: int) -> list[tuple[Any, ...]]:
        rows, size = [], 0
        cursor = self._db.execute(
            "select position, next, newest, checksum, seal, batches from log "
            "where position between ? and ? order by position",
            (first, high),
        )
        for row in cursor:
            rows.append(row)
            size += len(row[-1]) if isinstance(row[-1], bytes | str) else 0
            if size >= CHUNK_BYTES:
                break
        cursor.close()
        return rows

    def _tables(self) -> set[str]:
        return {name for (name,) in self._db.execute("select name from sqlite_master")}

    def _number(self, pragma: str) -> int:
        return int(self._db.execute(f"pragma {pragma}").fetchone()[0])
