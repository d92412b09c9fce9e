"""What compaction reads of the storage, in a process of its own: everything in short statements."""

from collections.abc import Iterator
from pathlib import Path

from crc32c import crc32c

from bus.broker.compaction.cleaner import Vain
from bus.broker.sequences import Producer
from bus.broker.storage.database import connect
from bus.broker.storage.log import Damaged, SealedRow, bounds, seal
from bus.broker.storage.reader import Gone

_SLICE_BYTES = 2**20  # read with one statement, as the writer waits for those that are under way
_SLICE_ROWS = 1000


class CleaningReader:
    """The database as compaction reads it."""

    def __init__(self, path: Path) -> None:
        self._db = connect(path)
        self._db.execute("pragma query_only = on")

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def cleanable(self, partition: int, since: int, end: int, young: int | None) -> tuple[int, int]:
        """Return up to where a partition can be compacted: before open transactions and the young.

        Args:
            partition: its number.
            since: up to here it was compacted before.
            end: not beyond this offset, where a row begins.
            young: a row with a record after this time is left alone, and what follows it; None:
                none is.

        Returns:
            the offset, where a row begins, and the time of the young row that is in the way; -1 if
            none is.
        """
        low, _ = bounds(partition)
        opened: int | None = self._db.execute(
            "select min(opened) from producers where partition = ?", (partition,)
        ).fetchone()[0]
        if opened is not None and opened < end:
            end = max(since, self._base(low, opened))
        if young is None:
            return end, -1
        first = self._db.execute(
            "select position, newest from log where position >= ? and position < ? and newest > ? "
            "order by position limit 1",
            (low + since, low + end, young),
        ).fetchone()
        return (end, -1) if first is None else (first[0] - low, first[1])

    def size(self, partition: int, since: int, end: int) -> int:
        """Return the bytes of a partition's rows between two offsets where rows begin."""
        low, _ = bounds(partition)
        found = self._db.execute(
            "select coalesce(sum(length(batches)), 0) from log "
            "where position >= ? and position < ?",
            (low + since, low + end),
        ).fetchone()
        return int(found[0])

    def facts(self, partition: int) -> tuple[tuple[Vain, ...], dict[int, int]]:
        """Return what was written in vain, and the offset of each producer's newest batch."""
        vain = self._db.execute(
            "select producer, first, last from aborted where partition = ?", (partition,)
        )
        producers = self._db.execute(
            "select producer, epoch, batches from producers where partition = ?", (partition,)
        )
        windows = (
            (producer, Producer.from_bytes(epoch, batches).window)
            for producer, epoch, batches in producers
        )
        newest = {producer: window[-1].offset for producer, window in windows if window}
        return tuple(Vain(*one) for one in vain), newest

    def rows(self, partition: int, offset: int, end: int) -> Iterator[SealedRow]:
        """Yield the rows from the one with an offset on to where one begins at the end.

        Raises:
            Gone: they are deleted by now.
            Damaged: a row is missing or is not what was written.
        """
        try:
            yield from self._rows(partition, offset, end)
        except Damaged:
            start = self._db.execute(
                "select start from partitions where number = ?", (partition,)
            ).fetchone()
            if start is None or offset < start[0]:
                raise Gone from None
            raise

    def _rows(self, partition: int, offset: int, end: int) -> Iterator[SealedRow]:
        low, _ = bounds(partition)
        at = self._base(low, offset)
        while at < end:
            rows = self._slice(partition, at, end)
            yield from rows
            if not rows:
                raise Damaged(f"offset {at} is not there")
            at = rows[-1].next

    def _base(self, low: int, offset: int) -> int:
        """Return where the row with an offset begins."""
        found = self._db.execute(
            "select max(position) from log where position between ? and ?", (low, low + offset)
        ).fetchone()[0]
        return offset if found is None else int(found) - low

    def _slice(self, partition: int, at: int, end: int) -> list[SealedRow]:
        low, _ = bounds(partition)
        found: list[SealedRow] = []
        size = 0
        cursor = self._db.execute(
            "select position, next, newest, checksum, seal, batches from log "
            "where position >= ? and position < ? order by position limit ?",
            (low + at, low + end, _SLICE_ROWS),
        )
        for position, next_, newest, checksum, sealed, batches in cursor:
            if seal(position, next_, newest, checksum) != sealed or crc32c(batches) != checksum:
                raise Damaged(f"the row at {position - low} fails its checksum")
            if position - low != at:
                raise Damaged(f"offsets {at} to {position - low} are not there")
            found.append(SealedRow(position - low, next_, newest, sealed, batches))
            at, size = next_, size + len(batches)
            if size >= _SLICE_BYTES:
                break
        cursor.close()
        return found
