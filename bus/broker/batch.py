"""Record batches, format v2: the header, what a producer may send, and one batch in many.

The broker never looks at single records, except to find one by its time. Layout: Kafka's
documentation, "Record Batch".
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from crc32c import crc32c
from kio.schema.errors import ErrorCode

HEADER = struct.Struct(">qiibIhiqqqhii")
OVERHEAD = 12  # base offset and length, which the length does not count
_POSITION = struct.Struct(">qii")  # base offset, length, leader epoch: what the CRC does not cover
CRC_STARTS = 21
MAGIC, _MAGIC_AT = 2, 16
_CRC_AT = 17

CODEC = 0x07
LOG_APPEND_TIME = 0x08
TRANSACTIONAL = 0x10
CONTROL = 0x20
ZSTD = 4
_ZSTD_SINCE = 7  # Produce version
_LEAST = 7  # bytes of a record without key, value and headers

# The one record of a control batch: length, attributes, deltas and the key's length; the key, which
# is version and kind; the value's length; the value, which is version and coordinator's epoch; the
# number of headers. Lengths are zigzag varints of one byte.
_MARK = struct.Struct(">5B hh B hi B")
_MARK_FRONT = (_MARK.size - 1 << 1, 0, 0, 0, 4 << 1, 0)
_MARK_BACK = (6 << 1, 0, 0, 0)


class Header(NamedTuple):
    """The fixed 61 bytes in front of a batch's records."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int


class BadBatch(Exception):
    """A batch that Kafka refuses, with the error code that it gives."""

    def __init__(self, error: ErrorCode, reason: str) -> None:
        self.error, self.reason = error, reason
        super().__init__(reason)


def check(records: bytes | None, *, version: int, limit: int) -> Header:
    """Return the header of the one batch in a Produce request's records.

    Args:
        records: the bytes as received.
        version: of the Produce request; zstd came with 7.
        limit: the topic's max.message.bytes.

    Raises:
        BadBatch: Kafka would refuse it (ProduceRequest.validateRecords, UnifiedLog, LogValidator).
    """
    if not records:
        raise BadBatch(ErrorCode.invalid_record, "there must be one record batch per partition")
    if len(records) <= _MAGIC_AT:
        raise BadBatch(ErrorCode.invalid_record, "the batch ends within its header")
    if records[_MAGIC_AT] != MAGIC:
        older = records[_MAGIC_AT] < MAGIC
        error = ErrorCode.invalid_record if older else ErrorCode.corrupt_message
        raise BadBatch(error, "only batches of magic 2 are accepted")
    if len(records) < HEADER.size:
        raise BadBatch(ErrorCode.invalid_record, "the batch ends within its header")
    header = Header._make(HEADER.unpack_from(records))
    size = OVERHEAD + header.length
    if size < HEADER.size:
        raise BadBatch(ErrorCode.corrupt_message, "the batch's length is less than its header's")
    if size > len(records):
        raise BadBatch(ErrorCode.invalid_record, "the batch's length is not that of its bytes")
    if size < len(records):
        raise BadBatch(ErrorCode.invalid_record, "there must be one record batch per partition")
    if size > limit:
        raise BadBatch(ErrorCode.message_too_large, f"{size} bytes are above {limit}")
    if crc32c(memoryview(records)[CRC_STARTS:]) != header.crc:
        raise BadBatch(ErrorCode.corrupt_message, "the CRC-32C does not match")
    _check_fields(header, version)
    return header


def _check_fields(header: Header, version: int) -> None:
    if header.base_offset != 0:
        raise BadBatch(ErrorCode.invalid_record, "the base offset of a new batch must be 0")
    if header.record_count < 1 or header.last_delta != header.record_count - 1:
        raise BadBatch(ErrorCode.invalid_record, "the count and the last offset do not agree")
    if not header.attributes & CODEC and header.record_count * _LEAST > header.length:
        raise BadBatch(ErrorCode.invalid_record, "there are not so many records")
    if header.attributes & CONTROL:
        raise BadBatch(ErrorCode.invalid_record, "clients may not write control batches")
    if header.producer_id >= 0 and (header.base_sequence < 0 or header.producer_epoch < 0):
        raise BadBatch(ErrorCode.invalid_record, "an idempotent batch needs epoch and sequence")
    if header.attributes & LOG_APPEND_TIME:
        raise BadBatch(ErrorCode.invalid_timestamp, "the append time is the broker's to set")
    codec = header.attributes & CODEC
    if codec > ZSTD or (codec == ZSTD and version < _ZSTD_SINCE):
        raise BadBatch(ErrorCode.unsupported_compression_type, "the codec is not supported")


def mark(
    producer_id: int, epoch: int, offset: int, now: int, *, commit: bool, stamped: bool = False
) -> bytes:
    """Return a control batch that ends a producer's transaction: one record.

    Args:
        producer_id, epoch: whose transaction.
        offset: where it is stored.
        now: milliseconds since 1970.
        commit: whether the transaction is committed, or else aborted.
        stamped: whether batches of its partition carry the time when they were appended.
    """
    attributes = TRANSACTIONAL | CONTROL | (LOG_APPEND_TIME if stamped else 0)
    record = _MARK.pack(*_MARK_FRONT, commit, *_MARK_BACK)
    front = bytearray(
        HEADER.pack(
            *(offset, HEADER.size - OVERHEAD + len(record), 0, MAGIC, 0),
            *(attributes, 0, now, now, producer_id, epoch, -1, 1),
        )
    )
    crc = crc32c(record, crc32c(memoryview(front)[CRC_STARTS:]))
    front[_CRC_AT:CRC_STARTS] = crc.to_bytes(4, "big")
    return bytes(front) + record


def placed(
    records: bytes, header: Header, offset: int, append_time: int | None
) -> list[bytes | memoryview]:
    """Return the batch's bytes, in pieces, as they are stored at an offset.

    Args:
        records: the batch as received.
        header: its header.
        offset: the offset of its first record.
        append_time: milliseconds since 1970 for LogAppendTime; None keeps the records' own times.
    """
    if append_time is None:
        return [_POSITION.pack(offset, header.length, 0), memoryview(records)[_MAGIC_AT:]]
    stamped = header._replace(
        base_offset=offset,
        leader_epoch=0,
        attributes=header.attributes | LOG_APPEND_TIME,
        max_timestamp=append_time,
    )
    front = bytearray(HEADER.pack(*stamped))
    rest = memoryview(records)[HEADER.size :]
    crc = crc32c(rest, crc32c(memoryview(front)[CRC_STARTS:]))
    front[_CRC_AT:CRC_STARTS] = crc.to_bytes(4, "big")
    return [bytes(front), rest]


def sealed(header: Header, records: bytes) -> bytes:
    """Return a batch of a header and its records, its length and CRC made good."""
    length = HEADER.size - OVERHEAD + len(records)
    front = HEADER.pack(*header._replace(length=length, crc=0))
    crc = crc32c(records, crc32c(memoryview(front)[CRC_STARTS:]))
    return HEADER.pack(*header._replace(length=length, crc=crc)) + records


class Span(NamedTuple):
    """Where one batch lies among many."""

    start: int
    end: int
    header: Header

    @property
    def next_offset(self) -> int:
        """The offset after the batch's last record."""
        return self.header.base_offset + self.header.last_delta + 1


def spans(batches: bytes) -> Iterator[Span]:
    """Yield each batch of a row, in order."""
    start = 0
    while start < len(batches):
        header = Header._make(HEADER.unpack_from(batches, start))
        end = start + OVERHEAD + header.length
        yield Span(start, end, header)
        start = end


def cut(batches: bytes, offset: int, limit: int, before: int | None = None) -> tuple[int, int, int]:
    """Find the whole batches from the one with the offset on, within a limit.

    The first batch is there even if it alone is above the limit, so that a reader gets on.

    Args:
        batches: of one row.
        offset: where to begin.
        limit: bytes.
        before: the offset where a batch begins that is not wanted any more.

    Returns:
        where they start, where they end, and the offset after the last of them.
    """
    start = end = -1
    reached = offset
    for span in spans(batches):
        if start < 0 and span.next_offset <= offset:
            continue
        if before is not None and span.header.base_offset >= before:
            break
        if start < 0:
            start = span.start
        elif span.end - start > limit:
            break
        end, reached = span.end, span.next_offset
    return (start, end, reached) if start >= 0 else (0, 0, offset)
