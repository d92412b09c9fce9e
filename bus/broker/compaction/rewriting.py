"""A batch with fewer records than it had: everything else about it stays as it was. Pure.

The layout is Kafka's ("Record Batch"), and so are the rules of what is kept in the header
(MemoryRecords.filterTo): offsets, producer and sequence numbers stay, so that readers find the same
records at the same places, and the time from which on tombstones may go stands where the base
timestamp did (KIP-534).
"""

from collections.abc import Generator, Sequence

from bus.broker.batch import CODEC, HEADER, LOG_APPEND_TIME, Header, Span, sealed, spans
from bus.broker.compression import packed, unpacked
from bus.broker.records import LIMIT, Piece, tail

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


def since(batches: bytes, offset: int) -> Generator[None, None, bytes]:
    """Return a row's batches without the records before an offset.

    A row may hold a million records, so this yields every few milliseconds of work.

    Raises:
        Unreadable: records cannot be unpacked.
        IndexError: records end early.
    """
    made: list[bytes | memoryview] = []
    for span in spans(batches):
        if span.header.base_offset >= offset:
            made.append(memoryview(batches)[span.start :])
            break
        if span.next_offset > offset:
            made.append((yield from _later(batches[span.start : span.end], span, offset)))
    return b"".join(made)


def _later(batch: bytes, span: Span, offset: int) -> Generator[None, None, bytes]:
    header = span.header
    if header.record_count == 0:
        return batch
    codec = header.attributes & CODEC
    records = unpacked(batch[HEADER.size :], codec, LIMIT)
    left = yield from tail(records, header.record_count, offset - header.base_offset)
    if left.number in {0, header.record_count}:
        return batch if left.number else b""
    newest = header.max_timestamp
    if not header.attributes & LOG_APPEND_TIME:
        newest = header.base_timestamp + left.newest
    changed = header._replace(max_timestamp=newest, record_count=left.number)
    return sealed(changed, packed(records[left.start :], codec))


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
