"""The log: rows of adjacent batches, guarded by two checksums.

A row's key is the partition's number and the first offset, so that a partition is one range of the
table. One checksum is over the batches, one over everything else in the row.
"""

import sqlite3
import struct
from collections.abc import Iterable

from crc32c import crc32c

from bus.broker.stage import OFFSET_BITS, Row

_SEAL = struct.Struct(">qqqI")

TABLES = (
    """create table log (
        position integer primary key, next integer not null, newest integer not null,
        checksum integer not null, seal integer not null, batches blob not null
    )""",
    "create table dropped (partition integer primary key)",
)
SINCE_1: tuple[str, ...] = ()


class Log:
    """The log's rows, of all partitions."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def write(self, rows: Iterable[Row]) -> None:
        """Store a round's rows."""
        for row in rows:
            position = row.partition << OFFSET_BITS | row.base
            checksum = crc32c(row.batches)
            self._db.execute(
                "insert into log values (?, ?, ?, ?, ?, ?)",
                (
                    position,
                    row.next,
                    row.newest,
                    checksum,
                    seal(position, row.next, row.newest, checksum),
                    row.batches,
                ),
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
