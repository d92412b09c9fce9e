"""A batch with fewer records than it had: everything else about it stays as it was. Pure.

The layout is Kafka's ("Record Batch"), and so are the rules of what is kept in the header
(MemoryRecords.filterTo): offsets, producer and sequence numbers stay, so that readers find the same
records at the same places, and the time from which on tombstones may go stands where the base
timestamp did (KIP-534).
"""

from collections.abc import Sequence

from bus.broker.batch import CODEC, LOG_APPEND_TIME, Header, sealed
from bus.broker.compression import packed
from bus.broker.records import Piece

DELETE_HORIZON = 0x40  # attribute: the base timestamp says when the batch's tombstones may go


def horizon_of(header: Header) -> int | None:
    """Return from when on a batch's tombstones may go, in milliseconds since 1970."""
    return header.base_timestamp if header.attributes & DELETE_HORIZON else None


def rewritten(header: Header, records: bytes, kept: Sequence[Piece], horizon: int | None) -> bytes:
    """Return a batch with some of its records.

    Args:
        header: of the batch as it was.
        records: its records, without compression.
        kept: those that stay; at least one.
        horizon: from when on its tombstones may go; None if it has none.
    """
    attributes, newest, base = header.attributes, header.max_timestamp, header.base_timestamp
    if not attributes & LOG_APPEND_TIME:
        newest = max(base + piece.time for piece in kept)
    if horizon is None or horizon == horizon_of(header):
        body = b"".join(records[piece.start : piece.end] for piece in kept)
    else:
        body = b"".join(_moved(records, piece, base - horizon) for piece in kept)
        attributes, base = attributes | DELETE_HORIZON, horizon
    changed = header._replace(
        attributes=attributes,
        base_timestamp=base,
        max_timestamp=newest,
        record_count=len(kept),
    )
    return sealed(changed, packed(body, attributes & CODEC))


def emptied(header: Header) -> bytes:
    """Return a batch without records: it holds a producer's place, and nothing else."""
    return sealed(header._replace(attributes=header.attributes & ~CODEC, record_count=0), b"")


def _moved(records: bytes, piece: Piece, by: int) -> bytes:
    """Return a record whose time counts from a base that is so much earlier."""
    body = b"".join(
        (
            records[piece.time_at - 1 : piece.time_at],
            _varint(piece.time + by),
            records[piece.rest_at : piece.end],
        )
    )
    return _varint(len(body)) + body


def _varint(value: int) -> bytes:
    """Return a zigzag varint."""
    rest = (value << 1) ^ (value >> 63)
    made = bytearray()
    while rest > 127:
        made.append(rest & 127 | 128)
        rest >>= 7
    made.append(rest)
    return bytes(made)
