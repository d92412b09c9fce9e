"""Which records stay when a partition is compacted. Pure.

The rules are Kafka's (LogCleaner): of each key the last record stays; a tombstone stays until
delete.retention.ms after it was first met; a record without a key does not stay; what a transaction
wrote in vain goes, and in a later round the mark that ended it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from bus.broker.batch import CODEC, CONTROL, HEADER, TRANSACTIONAL, Header, Span, spans
from bus.broker.compaction.rewriting import emptied, horizon_of, rewritten
from bus.broker.compression import unpacked
from bus.broker.records import LIMIT, Piece, pieces

_HASH_BYTES = 16


class Vain(NamedTuple):
    """What a producer's transaction wrote in vain: its first offset and that of its mark."""

    producer: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a partition besides its records.

    Attributes:
        now: milliseconds since 1970.
        delete_retention: milliseconds that tombstones stay.
        vain: what transactions wrote in vain.
        newest: the first offset of each producer's newest batch, by producer.
    """

    now: int
    delete_retention: int
    vain: tuple[Vain, ...] = ()
    newest: Mapping[int, int] = field(default_factory=dict)

    def in_vain(self, header: Header) -> bool:
        """Say whether a batch belongs to a transaction that was aborted."""
        return bool(header.attributes & TRANSACTIONAL) and any(
            one.producer == header.producer_id and one.first <= header.base_offset < one.last
            for one in self.vain
        )


class Keys:
    """The last offset of each key, by a hash of 16 bytes.

    Args:
        limit: so many keys are taken.
    """

    def __init__(self, limit: int) -> None:
        self._last: dict[bytes, int] = {}
        self._limit = limit

    def learn(self, batches: bytes, facts: Facts) -> bool:
        """Take the keys of a row's batches; false if these would be too many.

        A row is taken as a whole or, but for the first, not at all.
        """
        found: dict[bytes, int] = {}
        for span in spans(batches):
            header = span.header
            if header.attributes & CONTROL or facts.in_vain(header):
                continue
            for piece in _pieces(batches, span)[1]:
                if piece.key is not None:
                    found[_hash(piece.key)] = header.base_offset + piece.delta
        if self._last and len(self._last) + len(found) > self._limit:
            return False
        self._last |= found
        return True

    def outdated(self, key: bytes, offset: int) -> bool:
        """Say whether a later record of a key is known."""
        last = self._last.get(_hash(key))
        return last is not None and offset < last


class Cleaned(NamedTuple):
    """A row after compaction.

    Attributes:
        batches: those that are left.
        newest: the largest time; -1 if nothing is left.
        changed: whether it is another than before.
        unmarked: the offsets of marks that went.
    """

    batches: bytes
    newest: int
    changed: bool
    unmarked: tuple[int, ...] = ()


@dataclass(slots=True)
class Cleaner:
    """Takes the rows of a partition from its first on, in order."""

    keys: Keys
    facts: Facts
    _met: set[int] = field(
        default_factory=set
    )  # producers of whose transaction there was something

    def clean(self, batches: bytes) -> Cleaned:
        """Return a row's batches without the records that do not stay."""
        made: list[bytes | memoryview] = []
        newest, changed = -1, False
        unmarked: list[int] = []
        for span in spans(batches):
            after: bytes | memoryview | None = self._batch(batches, span)
            if after is None:
                after = memoryview(batches)[span.start : span.end]
            else:
                changed = True
                if span.header.attributes & CONTROL:
                    unmarked.append(span.header.base_offset)
            if after:
                made.append(after)
                newest = max(newest, Header._make(HEADER.unpack_from(after)).max_timestamp)
        return Cleaned(b"".join(made), newest, changed, tuple(unmarked))

    def _batch(self, batches: bytes, span: Span) -> bytes | None:
        """Return what becomes of a batch; None if it stays as it is."""
        header = span.header
        if header.attributes & CONTROL:
            return self._mark(header)
        if header.record_count == 0:
            return None if self._holds_place(header) else b""
        if header.attributes & TRANSACTIONAL:
            self._met.add(header.producer_id)
        if self.facts.in_vain(header):
            return self._nothing_of(header)
        records, found = _pieces(batches, span)
        horizon = horizon_of(header)
        kept = [piece for piece in found if self._stays(piece, header.base_offset, horizon)]
        if not kept:
            return self._nothing_of(header)
        if horizon is None and not all(piece.valued for piece in kept):
            horizon = self.facts.now + self.facts.delete_retention
        elif len(kept) == header.record_count:
            return None
        return rewritten(header, records, kept, horizon)

    def _stays(self, piece: Piece, base: int, horizon: int | None) -> bool:
        if piece.key is None or self.keys.outdated(piece.key, base + piece.delta):
            return False
        return piece.valued or horizon is None or self.facts.now < horizon

    def _mark(self, header: Header) -> bytes | None:
        """Let a mark go that nobody needs: it tells readers where what was aborted ends.

        It outlives what it ended by a whole round of compaction, for readers that are under way.
        """
        if header.producer_id in self._met:
            self._met.discard(header.producer_id)
            return None
        young = self.facts.now < header.max_timestamp + self.facts.delete_retention
        return None if young else b""

    def _nothing_of(self, header: Header) -> bytes:
        return emptied(header) if self._holds_place(header) else b""

    def _holds_place(self, header: Header) -> bool:
        return self.facts.newest.get(header.producer_id) == header.base_offset


def _pieces(batches: bytes, span: Span) -> tuple[bytes, Iterator[Piece]]:
    header = span.header
    packed = batches[span.start + HEADER.size : span.end]
    records = unpacked(packed, header.attributes & CODEC, LIMIT)
    return records, pieces(records, header.record_count)


def _hash(key: bytes) -> bytes:
    return blake2b(key, digest_size=_HASH_BYTES).digest()
