"""Single records inside a batch: only to find one by its time.

Decompression is bounded: a batch that unpacks to more than `LIMIT` bytes is not looked into.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import cramjam

from bus.broker.batch import CODEC, HEADER, LOG_APPEND_TIME, Header

LIMIT = 64 * 2**20  # bytes
_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER = 16

_INTO: Mapping[int, Callable[[bytes, Any], int]] = {
    1: cramjam.gzip.decompress_into,
    3: cramjam.lz4.decompress_into,
    4: cramjam.zstd.decompress_into,
}
_SNAPPY = 2


class Unreadable(Exception):
    """Records that cannot be unpacked, or only to more than the limit."""


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
    records = unpacked(batch[HEADER.size :], header.attributes & CODEC)
    at = 0
    for _ in range(header.record_count):
        length, at = _varint(records, at)
        time, inner = _varint(records, at + 1)
        delta, _ = _varint(records, inner)
        yield delta, time
        at += length


def unpacked(records: bytes, codec: int) -> bytes:
    """Return a batch's records without compression.

    Raises:
        Unreadable: they cannot be unpacked, or only to more than the limit.
    """
    if codec == 0:
        return records
    try:
        if codec == _SNAPPY:
            return _snappy(records)
        room = bytearray(LIMIT)
        size = _INTO[codec](records, room)
        return bytes(memoryview(room)[:size])
    except (cramjam.DecompressionError, KeyError, ValueError, OSError) as error:
        raise Unreadable(str(error)) from error


def _snappy(records: bytes) -> bytes:
    """Unpack raw snappy, or the chunks that Java's snappy-java writes (xerial)."""
    if not records.startswith(_XERIAL):
        return _snappy_block(records, LIMIT)
    at, size, blocks = _XERIAL_HEADER, 0, []
    while at < len(records):
        length = int.from_bytes(records[at : at + 4], "big")
        blocks.append(_snappy_block(records[at + 4 : at + 4 + length], LIMIT - size))
        size += len(blocks[-1])
        at += 4 + length
    return b"".join(blocks)


def _snappy_block(block: bytes, limit: int) -> bytes:
    if cramjam.snappy.decompress_raw_len(block) > limit:
        raise Unreadable("the batch unpacks to more than the limit")
    return bytes(cramjam.snappy.decompress_raw(block))


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7
        if shift > 63:
            raise Unreadable("a number is longer than 64 bits")
