"""Record batches taken apart with care: what cannot be read is handed on and said, never raised.

aiokafka decodes what is in order, and quicker; this is for bytes that it raises on. One odd record
must not hide those beside it, nor keep a reader at its offset for ever. Layout: Kafka's
documentation, "Record Batch" (magic 2). Pure.
"""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import cramjam
from crc32c import crc32c

from bus.errors import BusUnavailable
from bus.kafka.records import Fetched, Place

LARGEST = 16 * 2**20
"""Bytes that the records of a batch may unpack to; the largest event has one million."""

_HEADER = struct.Struct(">qiibIhiqqqhii")
_FRONT = struct.Struct(">qi")  # base offset and length, which the length does not count
_CRC_COVERS = 21  # from here on
_MAGIC = 2
_CODEC, _LOG_APPEND_TIME, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20
_LEAST = 7  # bytes of a record without key, value and headers

_UNPACK: Mapping[int, Callable[[bytes, Any], int]] = {
    1: cramjam.gzip.decompress_into,
    3: cramjam.lz4.decompress_into,
    4: cramjam.zstd.decompress_into,
}
_SNAPPY = 2
_XERIAL, _XERIAL_HEADER = b"\x82SNAPPY\x00", 16


class _Header(NamedTuple):
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
    records: int


class _Unreadable(Exception):
    """A batch whose inside is not what its header says."""


def unpack(
    place: Place, data: bytes, offset: int, aborted: Sequence[tuple[int, int]] = ()
) -> tuple[list[Fetched], int]:
    """Return the committed records of fetched batches from an offset on, and the offset after them.

    A record whose headers are not as they must be says so in its ``fault``. A batch that cannot be
    taken apart is one record at the batch's last offset, with the batch's bytes as value.

    Args:
        place: the partition that the batches come from.
        data: whole batches; the last one may be cut off.
        offset: records before it are left out.
        aborted: producer ids and first offsets of transactions that were taken back.

    Raises:
        BusUnavailable: the first batch was damaged after it was written (its CRC does not match),
            so that not even its header can be trusted.
    """
    found: list[Fetched] = []
    following = offset
    withdrawn = _Withdrawn(aborted)
    for batch in _batches(data):
        if len(batch) >= _HEADER.size and batch[16] == _MAGIC:
            header = _Header._make(_HEADER.unpack_from(batch))
            if crc32c(batch[_CRC_COVERS:]) != header.crc:
                if following > offset:
                    break
                raise BusUnavailable(
                    "the engine sent a batch that is damaged (its CRC-32C does not match)",
                    where=f"{place[0]}-{place[1]} at {header.base_offset}",
                )
            last = header.base_offset + max(header.last_delta, 0)
            if not withdrawn.holds(header):
                found += (r for r in _read(place, header, batch, last) if r.offset >= following)
        else:  # a format that Kafka gave up with version 4: its offset is the last one's
            last = _FRONT.unpack_from(batch)[0]
            found.append(_whole(place, last, -1, batch, "its format is none that is read"))
        following = max(following, last + 1)
    return found, following


def _batches(data: bytes) -> Iterator[bytes]:
    start = 0
    while len(data) - start >= _FRONT.size:
        end = start + _FRONT.size + max(_FRONT.unpack_from(data, start)[1], 0)
        if end > len(data):
            return
        yield data[start:end]
        start = end


class _Withdrawn:
    """Which batches a reader of committed records does not see."""

    def __init__(self, aborted: Sequence[tuple[int, int]]) -> None:
        self._coming = sorted(aborted, key=lambda each: each[1])
        self._producers: set[int] = set()

    def holds(self, header: _Header) -> bool:
        """Whether this batch, the next one, is a mark or belongs to what was taken back."""
        while self._coming and self._coming[0][1] <= header.base_offset:
            self._producers.add(self._coming.pop(0)[0])
        if header.attributes & _CONTROL:
            self._producers.discard(header.producer_id)  # a mark ends the producer's transaction
            return True
        return bool(header.attributes & _TRANSACTIONAL) and header.producer_id in self._producers


def _read(place: Place, header: _Header, batch: bytes, last: int) -> list[Fetched]:
    try:
        body = _unpacked(batch[_HEADER.size :], header.attributes & _CODEC)
        return list(_records(place, header, body, last))
    except _Unreadable as error:
        why = str(error)
    except IndexError:
        why = "it ends early"
    return [_whole(place, last, header.max_timestamp, batch, why)]


def _whole(place: Place, last: int, timestamp: int, batch: bytes, why: str) -> Fetched:
    fault = f"the batch cannot be taken apart: {why}"
    return Fetched(*place, last, timestamp, None, batch, (), fault)


def _unpacked(body: bytes, codec: int) -> bytes:
    if codec == 0:
        return body
    try:
        if codec == _SNAPPY:
            return _snappy(body)
        room = bytearray(LARGEST)
        return bytes(memoryview(room)[: _UNPACK[codec](body, room)])
    except KeyError:
        raise _Unreadable(f"there is no codec {codec}") from None
    except cramjam.DecompressionError as error:
        raise _Unreadable(f"it is damaged, or unpacks to more than {LARGEST} bytes") from error


def _snappy(body: bytes) -> bytes:
    """Unpack raw snappy, or the chunks that Java's snappy-java writes (xerial)."""
    if not body.startswith(_XERIAL):
        return _snappy_block(body, LARGEST)
    at, room, blocks = _XERIAL_HEADER, LARGEST, []
    while at < len(body):
        end = at + 4 + int.from_bytes(body[at : at + 4], "big")
        blocks.append(_snappy_block(body[at + 4 : end], room))
        room -= len(blocks[-1])
        at = end
    return b"".join(blocks)


def _snappy_block(block: bytes, room: int) -> bytes:
    if cramjam.snappy.decompress_raw_len(block) > room:
        raise _Unreadable(f"it unpacks to more than {LARGEST} bytes")
    return bytes(cramjam.snappy.decompress_raw(block))


def _records(place: Place, header: _Header, body: bytes, last: int) -> Iterator[Fetched]:
    if not 0 <= header.records <= len(body) // _LEAST:
        raise _Unreadable(f"there are not {header.records} records in it")
    cursor, before = _Cursor(body), header.base_offset - 1
    for _ in range(header.records):
        end = cursor.number() + cursor.at
        cursor.at += 1  # attributes, of which there are none
        time = header.base_timestamp + cursor.number()
        if header.attributes & _LOG_APPEND_TIME:
            time = header.max_timestamp
        offset = header.base_offset + cursor.number()
        if not before < offset <= last:
            raise _Unreadable("its offsets do not rise, or go past its last one")
        key, value = cursor.data(), cursor.data()
        headers, fault = _headers(cursor)
        if cursor.at != end:
            raise _Unreadable("a record's length is not that of its bytes")
        yield Fetched(*place, offset, time, key, value, headers, fault)
        before = offset
    if cursor.at != len(body):
        raise _Unreadable("bytes are left over behind its last record")


def _headers(cursor: "_Cursor") -> tuple[tuple[tuple[str, Any], ...], str]:
    """Return a record's headers, and what is wrong with their names."""
    found, fault = [], ""
    count = cursor.number()
    if count < 0:
        raise _Unreadable("a record has less than no headers")
    for _ in range(count):
        name = cursor.data()
        if name is None:
            raise _Unreadable("a header has no name")
        text = name.decode(errors="backslashreplace")
        if text.encode() != name:
            fault = fault or f"a header's name is no UTF-8: {text[:100]}"
        found.append((text, cursor.data()))
    return tuple(found), fault


class _Cursor:
    """Reads the fields of records one after the other."""

    def __init__(self, body: bytes) -> None:
        self._body, self.at = body, 0

    def number(self) -> int:
        """Return a number of variable length (zigzag, at most 64 bits)."""
        value = shift = 0
        while True:
            byte = self._body[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)
            shift += 7
            if shift > 63:
                raise _Unreadable("a number is longer than 64 bits")

    def data(self) -> bytes | None:
        """Return bytes with their length in front; None where the length is negative."""
        length = self.number()
        if length < 0:
            return None
        start, self.at = self.at, self.at + length
        if self.at > len(self._body):
            raise _Unreadable("a field goes past its end")
        return self._body[start : self.at]
