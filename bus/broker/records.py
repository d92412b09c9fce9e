"""Single records inside a batch: whether they are as its header says, and which is the first since.

A record is its length, attributes, timestamp delta, offset delta, key, value and headers; numbers
are zigzag varints (Kafka's documentation, "Record"). Readers go by the header, so a batch whose
inside is otherwise would stop every one of them: it is refused as a whole on its way in.
"""

from collections.abc import Generator, Iterator
from typing import NamedTuple

from kio.schema.errors import ErrorCode

from bus.broker import native
from bus.broker.batch import CODEC, HEADER, LOG_APPEND_TIME, BadBatch, Header
from bus.broker.compression import TooLarge, Unreadable, unpacked

LIMIT = 64 * 2**20
"""Bytes that a stored batch is unpacked to again; `bus.settings.MOST_UNPACKED` is the same, and is
not loaded by the process that compacts."""
AT_ONCE = 2500  # records that are gone through without a pause: two or three milliseconds


class Keyless(Unreadable, BadBatch):
    """A record without a key, where each must have one.

    Attributes:
        records: those of the batch, without compression.
    """

    def __init__(self) -> None:
        reason = "a compacted topic takes no record without a key"
        BadBatch.__init__(self, ErrorCode.invalid_record, reason)
        self.records = b""


class Inside(NamedTuple):
    """What is in a batch.

    Attributes:
        records: without compression.
        newest: the largest timestamp delta.
    """

    records: bytes
    newest: int


def check_inside(batch: bytes, header: Header, *, limit: int, keyed: bool) -> Inside:
    """Check that a batch's records are what its header says, and return them.

    The error is final, not the CORRUPT_MESSAGE that clients answer by sending again: the CRC bears
    out that the batch was written as it is.

    Args:
        batch: one whole batch.
        header: its header.
        limit: bytes that compressed records may unpack to.
        keyed: whether every record must have a key, as in a compacted topic (LogValidator).

    Raises:
        BadBatch: MESSAGE_TOO_LARGE if they unpack to more than the limit, so that clients that can
            send them in smaller batches do; INVALID_RECORD if they are not what the header says.
    """
    records = b""
    try:
        records = unpacked(batch[HEADER.size :], header.attributes & CODEC, limit)
        newest = native.newest(batch, header, records, keyed=keyed)
        if newest is None:
            newest = walk(records, header.record_count, keyed=keyed)
        return Inside(records, newest)
    except TooLarge as error:
        raise BadBatch(ErrorCode.message_too_large, str(error)) from error
    except Keyless as error:
        error.records = records
        raise
    except Unreadable as error:
        raise BadBatch(ErrorCode.invalid_record, str(error)) from error
    except IndexError as error:
        raise BadBatch(ErrorCode.invalid_record, "the records end early") from error


def walk(  # noqa: C901  # a call for each number would take longer than all the rest
    records: bytes, count: int, *, keyed: bool
) -> int:
    """Go from record to record, and say what is wrong with the first that is not in order.

    Returns:
        the largest timestamp delta.

    Raises:
        Unreadable: a length or an offset lies, there are bytes left, or a key is missing.
        IndexError: the records end early.
    """
    at = 0
    newest = -1  # of zigzag numbers those that are even are not negative
    for delta in range(count):
        size = records[at]
        at += 1
        if size > 127:
            size, at = _rest(records, at, size)
        end = at + (size >> 1)
        at += 1  # attributes
        time = records[at]
        at += 1
        if time > 127:
            time, at = _rest(records, at, time)
        if time > newest and not time & 1:
            newest = time
        offset = records[at]
        at += 1
        if offset > 127:
            offset, at = _rest(records, at, offset)
        key = records[at]
        at += 1
        if key > 127:
            key, at = _rest(records, at, key)
        if not key & 1:  # else it is negative, which stands for null
            at += key >> 1
        elif keyed:
            raise Keyless
        value = records[at]
        at += 1
        if value > 127:
            value, at = _rest(records, at, value)
        if not value & 1:
            at += value >> 1
        headers = records[at]
        at += 1
        if headers:
            at = _headers(records, at, headers, end)
        if at != end or size & 1:
            raise Unreadable(f"the lengths within record {delta} do not agree")
        if offset != delta << 1:
            raise Unreadable(f"the offset of record {delta} is not {delta}")
    if at != len(records):
        raise Unreadable(f"there are bytes after record {count - 1}, the last")
    if newest < 0:  # every one of them is older than the batch says
        return max(piece.time for piece in pieces(records, count))
    return newest >> 1


def _headers(records: bytes, at: int, count: int, end: int) -> int:
    """Return where a record's headers end; `count` is the first byte of their number."""
    if count > 127:
        count, at = _rest(records, at, count)
    if count & 1 or count > end - at:  # each takes two bytes at least
        raise Unreadable("a record's number of headers is not that of its bytes")
    for _ in range(count >> 1):
        name = records[at]
        at += 1
        if name > 127:
            name, at = _rest(records, at, name)
        at += name >> 1
        value = records[at]
        at += 1
        if value > 127:
            value, at = _rest(records, at, value)
        if not value & 1:
            at += value >> 1
        if name & 1:
            raise Unreadable("a header has no name")
    return at


def _rest(records: bytes, at: int, value: int) -> tuple[int, int]:
    """Return a number of several bytes, still zigzag, and where it ends; `value` is the first."""
    more = records[at]
    if more < 128:
        return value - 128 + (more << 7), at + 1
    value &= 127
    for shift in range(7, 64, 7):
        more = records[at]
        at += 1
        value |= (more & 127) << shift
        if more < 128:
            return value, at
    raise Unreadable("a number is longer than 64 bits")


def first_since(batch: bytes, timestamp: int, start: int) -> tuple[int, int] | None:
    """Return offset and timestamp of a batch's first record at or after a time.

    A batch whose records cannot be read answers with its first offset, which is never too late.

    Args:
        batch: one whole batch.
        timestamp: milliseconds since 1970.
        start: offsets before this one do not count.
    """
    header = Header._make(HEADER.unpack_from(batch))
    if header.attributes & LOG_APPEND_TIME:
        return max(header.base_offset, start), header.max_timestamp
    try:
        for delta, time in times(batch, header):
            offset = header.base_offset + delta
            if header.base_timestamp + time >= timestamp and offset >= start:
                return offset, header.base_timestamp + time
    except (Unreadable, IndexError):
        return max(header.base_offset, start), header.max_timestamp
    return None


def times(batch: bytes, header: Header) -> Iterator[tuple[int, int]]:
    """Yield offset delta and timestamp delta of each record.

    Raises:
        Unreadable: the records cannot be unpacked.
        IndexError: the records end early.
    """
    records = unpacked(batch[HEADER.size :], header.attributes & CODEC, LIMIT)
    at = 0
    for _ in range(header.record_count):
        length, at = _varint(records, at)
        time, inner = _varint(records, at + 1)
        delta, _ = _varint(records, inner)
        yield delta, time
        at += length


class Tail(NamedTuple):
    """The last records of a batch.

    Attributes:
        start: where the first of them lies; the end if there is none.
        number: how many there are.
        newest: the largest timestamp delta; 0 if there is none.
    """

    start: int
    number: int
    newest: int


def tail(records: bytes, count: int, delta: int) -> Generator[None, None, Tail]:
    """Return the records from an offset delta on; yield every few milliseconds of work.

    Raises:
        Unreadable: a number is longer than any may be.
        IndexError: the records end early.
    """
    at, start, kept, newest = 0, len(records), 0, 0
    for number in range(count):
        if number % AT_ONCE == AT_ONCE - 1:
            yield
        begun = at
        size = records[at]
        at += 1
        if size > 127:
            size, at = _rest(records, at, size)
        end = at + (size >> 1)
        time, at = _varint(records, at + 1)
        offset = records[at]
        if offset > 127:
            offset, _ = _rest(records, at + 1, offset)
        if offset >> 1 >= delta:
            if not kept:
                start, newest = begun, time
            kept += 1
            newest = max(newest, time)
        at = end
    return Tail(start, kept, newest)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value, at = data[at], at + 1
    if value > 127:
        value, at = _rest(data, at, value)
    return (value >> 1) ^ -(value & 1), at


class Piece(NamedTuple):
    """Where one record lies among a batch's records, and what compaction has to know of it.

    Attributes:
        start: of the record, with its length.
        time_at: of its timestamp delta.
        rest_at: of all that follows its timestamp delta.
        end: of the record.
        time: its timestamp delta.
        delta: its offset delta.
        key: None if it has none.
        valued: whether it has a value.
    """

    start: int
    time_at: int
    rest_at: int
    end: int
    time: int
    delta: int
    key: bytes | None
    valued: bool


def pieces(records: bytes, count: int) -> Iterator[Piece]:
    """Yield where each record lies.

    Raises:
        IndexError: the records end early.
    """
    at = 0
    for _ in range(count):
        start = at
        size, at = _varint(records, at)
        end, time_at = at + size, at + 1
        time, rest_at = _varint(records, time_at)
        delta, at = _varint(records, rest_at)
        length, at = _varint(records, at)
        key = None
        if length >= 0:
            key = records[at : at + length]
            at += length
        yield Piece(start, time_at, rest_at, end, time, delta, key, not records[at] & 1)
        at = end
