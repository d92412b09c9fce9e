"""The reading side of the storage: rows of the log, each checked before it is given out."""

import sqlite3
from pathlib import Path
from typing import NamedTuple

from crc32c import crc32c

from bus.broker.batch import spans
from bus.broker.retention import Head
from bus.broker.sequences import Producer
from bus.broker.stage import OFFSET_BITS
from bus.broker.storage.database import connect
from bus.broker.storage.log import Damaged, Log, bounds, seal
from bus.broker.transactions.state import Aborted

# The rows from the one that has an offset on; one statement, so that all it sees is of one moment.
_FROM = """from log where position between coalesce(
    (select max(position) from log where position between :low and :wanted), :wanted
) and :last"""
_ROWS = f"select position, next, newest, checksum, seal, batches {_FROM} order by position"
_SINCE = f"select position {_FROM} and newest >= :time order by position limit 1"
_NEWEST = f"select position, newest {_FROM} order by newest desc, position limit 1"


class Gone(Exception):
    """What was asked for lies before the partition's first offset by now."""


class StoredRow(NamedTuple):
    """A row of the log, checked."""

    base: int
    next: int
    newest: int
    batches: bytes


class StoredProducer(NamedTuple):
    """A producer as stored: its id, when it wrote last (milliseconds since 1970), its state."""

    id: int
    used: int
    state: Producer


class Reader:
    """The reading side; used by one reader thread."""

    def __init__(self, path: Path) -> None:
        self._db = connect(path)
        self._db.execute("pragma query_only = on")
        self._log = Log(self._db)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def aborted(self, partition: int, offset: int, upto: int) -> list[Aborted]:
        """Return what was aborted and reaches into a range of offsets, in its beginnings' order."""
        found = []
        for row in self._db.execute(
            "select partition, producer, first, last, stable from aborted "
            "where partition = ? and last >= ? order by last",
            (partition, offset),
        ):
            one = Aborted(*row)
            if one.first < upto:
                found.append(one)
            if one.stable >= upto:
                break
        return sorted(found, key=lambda one: one.first)

    def producers(self, partition: int) -> list[StoredProducer]:
        """Return who writes to a partition."""
        stored = self._db.execute(
            "select producer, used, epoch, batches, opened from producers where partition = ? "
            "order by producer",
            (partition,),
        )
        return [
            StoredProducer(producer, used, Producer.from_bytes(epoch, batches, opened))
            for producer, used, epoch, batches, opened in stored
        ]

    def rows(self, partition: int, offset: int, end: int, limit: int) -> list[StoredRow]:
        """Return the rows with something from an offset on, until their bytes reach the limit.

        Raises:
            Gone: what was there is deleted by now.
            Damaged: a row is missing or is not what was written.
        """
        try:
            return self._rows(partition, offset, end, limit)
        except Damaged:
            # Asked after the rows: whoever deletes them moves the start in the same commit.
            start = self._db.execute(
                "select start from partitions where number = ?", (partition,)
            ).fetchone()
            if start is None or offset < start[0]:
                raise Gone from None
            raise

    def _rows(self, partition: int, offset: int, end: int, limit: int) -> list[StoredRow]:
        low, _ = bounds(partition)
        found: list[StoredRow] = []
        size, reached = 0, None
        try:
            cursor = self._db.execute(
                _ROWS,
                _span(low, offset, end),
            )
            for stored in cursor:
                row = _checked(*stored)
                if row.base != reached and (reached is not None or not row.base <= offset):
                    raise Damaged(f"offsets {reached or offset} to {row.base} are not there")
                if row.next <= offset:
                    raise Damaged(f"offset {offset} is not there")
                reached = row.next
                if _has(row, offset):
                    found.append(row)
                    size += len(row.batches)
                if found and size >= limit:
                    break
            cursor.close()
        except sqlite3.DatabaseError as error:
            raise Damaged(str(error)) from error
        if reached is None:
            raise Damaged(f"offset {offset} is not there")
        return found

    def cleaned(self, partition: int) -> int:
        """Return up to where a partition was compacted."""
        return self._log.cleaned(partition)

    def heads(self, partition: int, count: int, offset: int) -> list[Head]:
        """Return a partition's first rows from an offset on, without their batches."""
        return self._log.heads(partition, count, offset)

    def first_since(self, partition: int, start: int, end: int, timestamp: int) -> int | None:
        """Return the base offset of the first row that has a record of this time or later."""
        if start >= end:  # the last row lies before it, and would be found again
            return None
        low, _ = bounds(partition)
        found = self._db.execute(
            _SINCE,
            _span(low, start, end) | {"time": timestamp},
        ).fetchone()
        return None if found is None else int(found[0]) - low

    def newest(self, partition: int, start: int, end: int) -> tuple[int, int] | None:
        """Return base offset and largest timestamp of the first row that has the newest record."""
        if start >= end:  # the last row lies before it, and would be found again
            return None
        low, _ = bounds(partition)
        found = self._db.execute(
            _NEWEST,
            _span(low, start, end),
        ).fetchone()
        return None if found is None else (int(found[0]) - low, int(found[1]))


def _span(low: int, offset: int, end: int) -> dict[str, int]:
    return {"low": low, "wanted": low + offset, "last": low + end - 1}


def _has(row: StoredRow, offset: int) -> bool:
    """Say whether any batch of a row reaches an offset; compaction may have taken them out."""
    if row.base >= offset:
        return bool(row.batches)
    return any(span.next_offset > offset for span in spans(row.batches))


def _checked(
    position: int, next_: int, newest: int, checksum: int, sealed: int, batches: bytes
) -> StoredRow:
    if seal(position, next_, newest, checksum) != sealed or crc32c(batches) != checksum:
        raise Damaged(f"the row at {position & ((1 << OFFSET_BITS) - 1)} fails its checksum")
    return StoredRow(position & ((1 << OFFSET_BITS) - 1), next_, newest, batches)
