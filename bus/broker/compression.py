"""Unpacking the records of a batch, never to more bytes than are allowed.

Room for all that is allowed is mapped and not touched before it is written to, so a batch takes
memory as it unpacks, up to the limit and no further. Codecs: Kafka's documentation, "Record Batch".
"""

import mmap
from collections.abc import Callable, Mapping
from typing import Any

import cramjam

_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER = 16
_NO_ROOM = "failed to write whole buffer"  # what cramjam says, in words alone

_INTO: Mapping[int, Callable[[bytes, Any], int]] = {
    1: cramjam.gzip.decompress_into,
    3: cramjam.lz4.decompress_into,
    4: cramjam.zstd.decompress_into,
}
_SNAPPY = 2


class Unreadable(Exception):
    """Records that cannot be unpacked."""


class TooLarge(Unreadable):
    """Records that unpack to more than the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the records unpack to more than {limit} bytes")


def unpacked(records: bytes, codec: int, limit: int) -> bytes:
    """Return a batch's records without compression.

    Args:
        records: what follows the batch's header.
        codec: its number in the batch's attributes; 0 is none, and has no limit.
        limit: bytes.

    Raises:
        TooLarge: they unpack to more than the limit.
        Unreadable: they cannot be unpacked.
    """
    if codec == 0:
        return records
    try:
        if codec == _SNAPPY:
            return _snappy(records, limit)
        with mmap.mmap(-1, limit) as room:
            return room[: _INTO[codec](records, room)]
    except (cramjam.DecompressionError, KeyError, ValueError, OSError) as error:
        if str(error) == _NO_ROOM:
            raise TooLarge(limit) from error
        raise Unreadable(f"the records cannot be unpacked: {error}") from error


def _snappy(records: bytes, limit: int) -> bytes:
    """Unpack raw snappy, or the chunks that Java's snappy-java writes (xerial)."""
    if not records.startswith(_XERIAL):
        return _snappy_block(records, limit, limit)
    at, size, blocks = _XERIAL_HEADER, 0, []
    while at < len(records):
        length = int.from_bytes(records[at : at + 4], "big")
        blocks.append(_snappy_block(records[at + 4 : at + 4 + length], limit - size, limit))
        size += len(blocks[-1])
        at += 4 + length
    return b"".join(blocks)


def _snappy_block(block: bytes, left: int, limit: int) -> bytes:
    if cramjam.snappy.decompress_raw_len(block) > left:
        raise TooLarge(limit)
    return bytes(cramjam.snappy.decompress_raw(block))
