"""The log: rows of adjacent batches, guarded by two checksums.

A row's key is the partition's number and the first offset, so that a partition is one range of the
table. One checksum is over the batches, one over everything else in the row. The rows of a
partition follow each other without a gap: where records were taken out of the middle, or whole
batches, the row keeps its place, from its first offset to its next, so that a row which is lost is
still noticed.
"""

import sqlite3
import struct
from collections.abc import Iterable
from typing import NamedTuple

from crc32c import crc32c

from bus.broker.compaction.messages import Step
from bus.broker.retention import Head
from bus.broker.stage import OFFSET_BITS, Row

_SEAL = struct.Struct(">qqqI")

# The bytes of a partition's rows before an offset, as they were counted last; and the offset up to
# which it was compacted. What was written since is added when the database is opened.
_EXTENTS = """create table extents (
    partition integer primary key, size integer not null, counted integer not null,
    cleaned integer not null default 0
)"""

TABLES = (
    """create table log (
        position integer primary key, next integer not null, newest integer not null,
        checksum integer not null, seal integer not null, batches blob not null
    )""",
    "create table dropped (partition integer primary key)",
    _EXTENTS,
)
SINCE_1: tuple[str, ...] = (_EXTENTS,)


class Damaged(Exception):
    """Stored bytes that are not what was written."""


class SealedRow(NamedTuple):
    """A row of the log, checked, with the checksum that stands for all of it."""

    base: int
    next: int
    newest: int
    seal: int
    batches: bytes


class Log:
    """The log's rows, of all partitions."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def write(self, rows: Iterable[Row]) -> None:
        """Store a round's rows."""
        for row in rows:
            position = row.partition << OFFSET_BITS | row.base
            self._insert(position, row.next, row.newest, row.batches)

    def _insert(self, position: int, next_: int, newest: int, batches: bytes) -> None:
        checksum = crc32c(batches)
        sealed = seal(position, next_, newest, checksum)
        self._db.execute(
            "insert into log values (?, ?, ?, ?, ?, ?)",
            (position, next_, newest, checksum, sealed, batches),
        )

    def end(self, partition: int, start: int) -> int:
        """Return a partition's next offset; -1 if its last row is damaged."""
        last = self._db.execute(
            "select position, next, newest, checksum, seal from log "
            "where position between ? and ? order by position desc limit 1",
            bounds(partition),
        ).fetchone()
        if last is None:
            return start
        *sealed, stored = last
        if seal(*sealed) != stored:
            return -1
        return int(last[1])

    def heads(self, partition: int, count: int, offset: int = 0) -> list[Head]:
        """Return a partition's first rows from an offset on, without their batches.

        Args:
            partition: its number.
            count: how many rows at most.
            offset: rows that begin before it are left out.

        Raises:
            Damaged: what one of them says of itself is not what was written.
        """
        low, high = bounds(partition)
        found = []
        for position, next_, newest, checksum, sealed, size in self._db.execute(
            "select position, next, newest, checksum, seal, length(batches) from log "
            "where position between ? and ? order by position limit ?",
            (low + offset, high, count),
        ).fetchall():
            if seal(position, next_, newest, checksum) != sealed:
                raise Damaged(f"the row at {position - low} fails its checksum")
            found.append(Head(position - low, next_, newest, size))
        return found

    def across(self, partition: int, offset: int) -> SealedRow | None:
        """Return the row that begins before an offset and reaches beyond it, if there is one.

        Raises:
            Damaged: it is not what was written.
        """
        low, _ = bounds(partition)
        found = self._db.execute(
            "select position, next, newest, checksum, seal, batches from log "
            "where position >= ? and position < ? order by position desc limit 1",
            (low, low + offset),
        ).fetchone()
        if found is None:
            return None
        position, next_, newest, checksum, sealed, batches = found
        if seal(position, next_, newest, checksum) != sealed or crc32c(batches) != checksum:
            raise Damaged(f"the row at {position - low} fails its checksum")
        return SealedRow(position - low, next_, newest, sealed, batches) if next_ > offset else None

    def trim(self, partition: int, upto: int) -> None:
        """Delete a partition's rows that begin before an offset."""
        low, _ = bounds(partition)
        self._db.execute("delete from log where position >= ? and position < ?", (low, low + upto))

    def count(self, partition: int, size: int, upto: int) -> None:
        """Keep the bytes of a partition's rows before an offset.

        Args:
            partition: its number.
            size: bytes.
            upto: the first offset whose bytes do not count.
        """
        self._db.execute(
            "insert into extents (partition, size, counted) values (?, ?, ?) "
            "on conflict do update set size = excluded.size, counted = excluded.counted",
            (partition, size, upto),
        )

    def size(self, partition: int) -> int:
        """Return the bytes of a partition's rows."""
        size, counted = self._db.execute(
            "select coalesce(max(size), 0), coalesce(max(counted), 0) from extents "
            "where partition = ?",
            (partition,),
        ).fetchone()
        low, high = bounds(partition)
        since = self._db.execute(
            "select coalesce(sum(length(batches)), 0) from log where position between ? and ?",
            (low + counted, high),
        ).fetchone()[0]
        return int(size) + int(since)

    def cleaned(self, partition: int) -> int:
        """Return up to where a partition was compacted."""
        found = self._db.execute(
            "select cleaned from extents where partition = ?", (partition,)
        ).fetchone()
        return int(found[0]) if found else 0

    def clean(self, partition: int, upto: int) -> None:
        """Keep up to where a partition is compacted."""
        self._db.execute(
            "insert into extents (partition, size, counted, cleaned) values (?1, 0, 0, ?2) "
            "on conflict do update set cleaned = ?2",
            (partition, upto),
        )

    def replace(self, partition: int, step: Step) -> int | None:
        """Put one row in the place of adjacent ones.

        Returns:
            by how many bytes the partition is smaller; None if other rows stand there than those
            that were read, so that nothing was done.
        """
        low, _ = bounds(partition)
        place = (low + step.rows[0][0], low + step.next - 1)
        found = self._db.execute(
            "select position, seal, length(batches) from log where position between ? and ? "
            "order by position",
            place,
        ).fetchall()
        if [(position - low, sealed) for position, sealed, _ in found] != list(step.rows):
            return None
        self._db.execute("delete from log where position between ? and ?", place)
        self._insert(place[0], step.next, step.newest, step.batches)
        return sum(int(size) for _, _, size in found) - len(step.batches)

    def purge(self, limit: int) -> bool:
        """Delete about so many bytes of dropped partitions; true if there is more to do."""
        dropped = self._db.execute("select partition from dropped limit 1").fetchone()
        if dropped is None:
            return False
        size, last = 0, None
        for position, length in self._db.execute(
            "select position, length(batches) from log where position between ? and ? "
            "order by position",
            bounds(dropped[0]),
        ):
            size, last = size + length, position
            if size >= limit:
                break
        if last is None:
            self._db.execute("delete from dropped where partition = ?", dropped)
            self._db.execute("delete from extents where partition = ?", dropped)
        else:
            first, _ = bounds(dropped[0])
            self._db.execute("delete from log where position between ? and ?", (first, last))
        return True


def bounds(partition: int) -> tuple[int, int]:
    """Return the first and last row key of a partition."""
    low = partition << OFFSET_BITS
    return low, low + (1 << OFFSET_BITS) - 1


def seal(position: int, next_: int, newest: int, checksum: int) -> int:
    """Return the checksum over a row's columns; -1 if they cannot be what was written."""
    try:
        return crc32c(_SEAL.pack(position, next_, newest, checksum))
    except struct.error:
        return -1
