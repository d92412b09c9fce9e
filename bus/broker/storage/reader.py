"""The reading side of the storage: rows of the log, each checked before it is given out."""

import sqlite3
from pathlib import Path
from typing import NamedTuple

from crc32c import crc32c

from bus.broker.stage import OFFSET_BITS
from bus.broker.storage.database import connect
from bus.broker.storage.log import bounds, seal


class Damaged(Exception):
    """Stored bytes that are not what was written."""


class StoredRow(NamedTuple):
    """A row of the log, checked."""

    base: int
    next: int
    newest: int
    batches: bytes


class Reader:
    """The reading side; used by one reader thread."""

    def __init__(self, path: Path) -> None:
        self._db = connect(path)
        self._db.execute("pragma query_only = on")

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def rows(self, partition: int, offset: int, end: int, limit: int) -> list[StoredRow]:
        """Return the rows from the one with the offset on, until their bytes reach the limit.

        Raises:
            Damaged: a row is missing or is not what was written.
        """
        low, high = bounds(partition)
        wanted = low + offset
        found: list[StoredRow] = []
        size = 0
        try:
            first = self._db.execute(
                "select max(position) from log where position between ? and ?", (low, wanted)
            ).fetchone()[0]
            cursor = self._db.execute(
                "select position, next, newest, checksum, seal, batches from log "
                "where position between ? and ? order by position",
                (first if first is not None else wanted, min(high, low + end - 1)),
            )
            for stored in cursor:
                row = _checked(*stored)
                expected = found[-1].next if found else max(row.base, offset)
                if row.base > expected or row.next <= offset:
                    raise Damaged(f"offsets {offset} to {row.base} are not there")
                found.append(row)
                size += len(row.batches)
                if size >= limit:
                    break
            cursor.close()
        except sqlite3.DatabaseError as error:
            raise Damaged(str(error)) from error
        if not found or found[0].base > offset:
            raise Damaged(f"offset {offset} is not there")
        return found

    def first_since(self, partition: int, start: int, end: int, timestamp: int) -> int | None:
        """Return the base offset of the first row that has a record of this time or later."""
        low, _ = bounds(partition)
        found = self._db.execute(
            "select position, next from log where position between ? and ? and newest >= ? "
            "order by position limit 1",
            (self._containing(low, start), low + end - 1, timestamp),
        ).fetchone()
        return None if found is None else int(found[0]) - low

    def newest(self, partition: int, start: int, end: int) -> tuple[int, int] | None:
        """Return base offset and largest timestamp of the first row that has the newest record."""
        low, _ = bounds(partition)
        found = self._db.execute(
            "select position, newest from log where position between ? and ? "
            "order by newest desc, position limit 1",
            (self._containing(low, start), low + end - 1),
        ).fetchone()
        return None if found is None else (int(found[0]) - low, int(found[1]))

    def size(self, partition: int) -> int:
        """Return the bytes of a partition's batches."""
        total = self._db.execute(
            "select coalesce(sum(length(batches)), 0) from log where position between ? and ?",
            bounds(partition),
        ).fetchone()[0]
        return int(total)

    def _containing(self, low: int, offset: int) -> int:
        found = self._db.execute(
            "select max(position) from log where position between ? and ?", (low, low + offset)
        ).fetchone()[0]
        return low + offset if found is None else int(found)


def _checked(
    position: int, next_: int, newest: int, checksum: int, sealed: int, batches: bytes
) -> StoredRow:
    if seal(position, next_, newest, checksum) != sealed or crc32c(batches) != checksum:
        raise Damaged(f"the row at {position & ((1 << OFFSET_BITS) - 1)} fails its checksum")
    return StoredRow(position & ((1 << OFFSET_BITS) - 1), next_, newest, batches)
