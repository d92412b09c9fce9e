"""Whether one row of the log is what was written, and consistent in itself. Pure."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from crc32c import crc32c

from bus.broker.batch import CODEC, CRC_STARTS, HEADER, MAGIC, OVERHEAD, BadBatch, Header
from bus.broker.compression import Unreadable, unpacked
from bus.broker.records import check_inside
from bus.broker.stage import OFFSET_BITS
from bus.broker.storage.log import seal

_OFFSETS = (1 << OFFSET_BITS) - 1


class Problem(NamedTuple):
    """What is wrong at an offset of a row's partition."""

    offset: int
    what: str


class Judged(NamedTuple):
    """What a row turned out to be.

    Attributes:
        next: the offset after it; None where its columns cannot be believed.
        batches: how many whole ones there are.
        records: how many their headers name.
    """

    problems: list[Problem]
    next: int | None
    batches: int
    records: int


def judge(row: tuple[Any, ...], *, max_unpacked: int | None) -> Judged:
    """Judge a row by its columns: position, next, newest, checksum, seal and batches.

    Args:
        row: the columns as they are stored, of whatever type.
        max_unpacked: bytes that one batch's records may unpack to; None does not look at records.
    """
    position, next_, newest, checksum, sealed, batches = row
    base = position & _OFFSETS
    if not all(isinstance(number, int) for number in (next_, newest, checksum, sealed)):
        return Judged([Problem(base, "the row's columns are no numbers")], None, 0, 0)
    problems: list[Problem] = []
    believed = seal(position, next_, newest, checksum) == sealed
    if not believed:
        problems.append(Problem(base, "the row's own columns fail their checksum"))
    if not isinstance(batches, bytes):
        problems.append(Problem(base, "the row has no batches"))
        return Judged(problems, next_ if believed else None, 0, 0)
    whole = not believed or crc32c(batches) == checksum
    inside = _Inside(batches, max_unpacked)
    problems += inside.problems
    if not whole and not inside.problems:
        problems.append(Problem(base, "the batches fail the row's checksum"))
    if believed and whole:
        problems += inside.disagreements(base, next_, newest)
    return Judged(problems, next_ if believed else None, len(inside.headers), inside.records)


class _Inside:
    """The batches of a row, as far as they can be told apart."""

    def __init__(self, batches: bytes, max_unpacked: int | None) -> None:
        self.headers: list[Header] = []
        self.problems: list[Problem] = []
        self.records = 0
        start = 0
        while start < len(batches):
            end = self._one(batches, start, max_unpacked)
            if end is None:
                break
            start = end

    def _one(self, batches: bytes, start: int, max_unpacked: int | None) -> int | None:
        """Look at the batch that starts here; return where it ends, None if nobody can tell."""
        expected = self.headers[-1] if self.headers else None
        place = 0 if expected is None else expected.base_offset + expected.last_delta + 1
        if len(batches) - start < HEADER.size:
            self.problems.append(Problem(place, "a batch ends within its header"))
            return None
        header = Header._make(HEADER.unpack_from(batches, start))
        end = start + OVERHEAD + header.length
        if header.magic != MAGIC or not start + HEADER.size <= end <= len(batches):
            self.problems.append(Problem(place, "a batch's header makes no sense"))
            return None
        batch = memoryview(batches)[start:end]
        if crc32c(batch[CRC_STARTS:]) != header.crc:
            self.problems.append(Problem(header.base_offset, "the batch fails its CRC-32C"))
        elif max_unpacked is not None:
            reason = _miscounted(bytes(batch), header, max_unpacked)
            if reason:
                self.problems.append(Problem(header.base_offset, reason))
        self.headers.append(header)
        self.records += header.record_count
        return end

    def disagreements(self, base: int, next_: int, newest: int) -> Iterator[Problem]:
        """Yield where headers are not as the row's columns, or not in order.

        Compaction takes records and whole batches out and leaves the row's place as it was.
        """
        reached = base
        for header in self.headers:
            if header.base_offset < reached:
                yield Problem(header.base_offset, f"the batch should not begin before {reached}")
            if header.last_delta < 0 or header.record_count > header.last_delta + 1:
                yield Problem(header.base_offset, "the batch's count and last offset do not agree")
            reached = header.base_offset + header.last_delta + 1
        if not base < next_ or reached > next_:
            yield Problem(base, f"the row ends at {next_}, its batches at {reached}")
        if self.headers and max(header.max_timestamp for header in self.headers) > newest:
            yield Problem(base, "a batch is newer than its row says")


def _miscounted(batch: bytes, header: Header, max_unpacked: int) -> str:
    """Return why a batch's records are not as many as its header says; empty if they are."""
    try:
        if header.record_count == header.last_delta + 1:
            check_inside(batch, header, limit=max_unpacked, keyed=False)
            return ""
        return _thinned(
            unpacked(batch[HEADER.size :], header.attributes & CODEC, max_unpacked), header
        )
    except (BadBatch, Unreadable, IndexError) as error:
        return str(error) or "the records end early"


def _thinned(records: bytes, header: Header) -> str:
    """Return why the records are not as many as the header says, where some were taken out.

    Raises:
        IndexError: they end early.
    """
    at, count, last = 0, 0, -1
    while at < len(records):
        length, start = _varint(records, at)
        at = start + length
        if length < 0 or at > len(records):
            return "the records end early"
        _, after_time = _varint(records, start + 1)
        delta, _ = _varint(records, after_time)
        if not last < delta <= header.last_delta:
            return f"the record at {header.base_offset + delta} is out of order"
        count, last = count + 1, delta
    if count != header.record_count:
        return f"there are {count} records, the header says {header.record_count}"
    return ""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a zigzag number and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return (value >> 1) ^ -(value & 1), at
        shift += 7
