"""Record batches put together: every record is joined once, and what never changes is given ready.

Layout: Kafka's documentation, "Record Batch" and "Record" (magic 2). Pure.
"""

import struct
from collections.abc import Sequence

from crc32c import crc32c

_FRONT = struct.Struct(">qiibI")  # base offset, length, leader's epoch, magic, CRC
_HEAD = struct.Struct(">hiqqqhii")  # attributes to number of records: the CRC begins here
_LENGTH_COVERS = 9  # bytes of the front, from the leader's epoch on
_MAGIC, _NOT_KNOWN = 2, -1
_TRANSACTIONAL = 0x10
_BEFORE_OFFSET = b"\x00\x00"  # a record's attributes and its timestamp's delta, both nothing


def _varint(number: int) -> bytes:
    zigzag, data = (number << 1) ^ (number >> 63), bytearray()
    while zigzag >= 0x80:
        data.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    data.append(zigzag)
    return bytes(data)


class _Varints(dict[int, bytes]):
    """Zigzag varints: common ones ready-made, others when they are asked for."""

    def __missing__(self, number: int) -> bytes:
        return _varint(number)


_VARINT = _Varints((number, _varint(number)) for number in range(-1, 4096))


def sized(data: bytes | None) -> bytes:
    """Return bytes with their length in front, as records have them; None has the length -1."""
    return _VARINT[-1] if data is None else _VARINT[len(data)] + data


def header(name: str, value: bytes | None) -> bytes:
    """Return a header as it lies in a record."""
    return sized(name.encode()) + sized(value)


def packed(
    key: bytes | None, value: bytes | None, headers: Sequence[bytes], *, further: int = 0
) -> bytes:
    """Return a record but for its place in a batch.

    Args:
        key: the record's key.
        value: the record's value.
        headers: each as `header` returns it.
        further: how many headers will be appended to what is returned.
    """
    return b"".join((sized(key), sized(value), _VARINT[len(headers) + further], *headers))


class Batch:
    """A batch in the place of aiokafka's ``BatchBuilder``: what its sender asks of one.

    Args:
        records: at least one, each as `packed` returns it.
        timestamp_ms: when the batch is made; the broker's own time may take its place.
        transactional: whether it belongs to a transaction.
    """

    def __init__(
        self, records: Sequence[bytes], timestamp_ms: int, *, transactional: bool = False
    ) -> None:
        parts: list[bytes] = []
        for delta, record in enumerate(records):
            place = _BEFORE_OFFSET + _VARINT[delta]
            parts += (_VARINT[len(place) + len(record)], place, record)
        self._records = b"".join(parts)
        self._count, self._timestamp = len(records), timestamp_ms
        self._attributes = _TRANSACTIONAL if transactional else 0
        self._producer = (-1, -1, -1)

    def size(self) -> int:
        """Return the bytes that the batch takes."""
        return _FRONT.size + _HEAD.size + len(self._records)

    def record_count(self) -> int:
        """Return how many records there are."""
        return self._count

    def closed(self) -> bool:
        """Return that no record can be added."""
        return True

    def _set_producer_state(self, producer: int, epoch: int, sequence: int) -> None:
        self._producer = (producer, epoch, sequence)

    def _build(self) -> bytes:
        now = self._timestamp
        attributes, count = self._attributes, self._count
        head = _HEAD.pack(attributes, count - 1, now, now, *self._producer, count)
        crc = crc32c(self._records, crc32c(head))
        length = _LENGTH_COVERS + len(head) + len(self._records)
        front = _FRONT.pack(0, length, _NOT_KNOWN, _MAGIC, crc)
        return b"".join((front, head, self._records))
