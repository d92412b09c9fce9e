"""Packing the records of a batch, and unpacking them, never to more bytes than are allowed.

Room for all that is allowed is mapped and not touched before it is written to, so a batch takes
memory as it unpacks, up to the limit and no further. Codecs: Kafka's documentation, "Record Batch".
"""

import mmap
from collections.abc import Callable, Iterator, Mapping
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
_GZIP, _SNAPPY, _LZ4 = 1, 2, 3

_XERIAL_FRONT = _XERIAL + (1).to_bytes(4, "big") * 2  # version, and the oldest that can read it
_XERIAL_BLOCK = 32 * 1024  # as snappy-java writes them

# A frame of blocks that do not refer to each other, of at most 64 kB and without checksums, as Java
# reads no others; its last byte is the checksum of the two before it (LZ4 frame format 1.6).
_LZ4_FRONT = bytes.fromhex("04224d18 6040 82")
_LZ4_BLOCK = 64 * 1024
_LZ4_AS_IS = 1 << 31  # in a block's length, if it did not become shorter


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


def packed(records: bytes, codec: int, level: int | None = None) -> bytes:
    """Return records as they stand in a batch of a codec.

    Args:
        records: without compression.
        codec: its number in the batch's attributes; 0 is none.
        level: of gzip, lz4 and zstd, as Kafka's configs count; None is the codec's own default.
    """
    if codec == 0:
        return records
    if codec == _SNAPPY:
        return _XERIAL_FRONT + b"".join(map(_xerial_block, _blocks(records, _XERIAL_BLOCK)))
    if codec == _LZ4:
        blocks = (_lz4_block(block, level) for block in _blocks(records, _LZ4_BLOCK))
        return _LZ4_FRONT + b"".join(blocks) + bytes(4)
    pack = cramjam.gzip.compress if codec == _GZIP else cramjam.zstd.compress
    return bytes(pack(records, level) if level is not None else pack(records))


def _blocks(records: bytes, size: int) -> Iterator[bytes]:
    return (records[at : at + size] for at in range(0, len(records), size))


def _xerial_block(block: bytes) -> bytes:
    made = bytes(cramjam.snappy.compress_raw(block))
    return len(made).to_bytes(4, "big") + made


def _lz4_block(block: bytes, level: int | None) -> bytes:
    if level is None:
        made = bytes(cramjam.lz4.compress_block(block, store_size=False))
    else:
        made = bytes(
            cramjam.lz4.compress_block(
                block, store_size=False, mode="high_compression", compression=level
            )
        )
    if len(made) < len(block):
        return len(made).to_bytes(4, "little") + made
    return (len(block) | _LZ4_AS_IS).to_bytes(4, "little") + block
