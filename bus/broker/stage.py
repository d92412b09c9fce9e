"""What one commit round appends: offsets, repeats, joined rows. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kio.schema.errors import ErrorCode

from bus.broker.batch import Header, placed
from bus.broker.sequences import Producer, Written, judge

ROW_BYTES = 2**20
OFFSET_BITS = 40  # a partition holds 2^40 offsets, the database 2^23 partitions

_USED_UP = f"the partition's {1 << OFFSET_BITS} offsets are used up: publish to another topic"

ProducerKey = tuple[int, int]  # partition number, producer id


class Outcome(NamedTuple):
    """What became of an append.

    Attributes:
        error: none if it is stored, or was before.
        offset: of the first record; -1 if it is not stored.
        time: append time in milliseconds since 1970; -1 if the records keep their own.
        repeat: whether it was stored before.
        reason: why it is refused, for people; None if the error says it all.
    """

    error: ErrorCode
    offset: int = -1
    time: int = -1
    repeat: bool = False
    reason: str | None = None


@dataclass(slots=True)
class Append:
    """A batch on its way into a partition, its header checked.

    Attributes:
        stamped: whether its records get the time when they are appended.
        done: told once it is durable or refused.
        keyed: whether its records must have keys.
        fault: what a test has arranged to go wrong at its commit.
    """

    partition: int
    records: bytes
    header: Header
    stamped: bool
    done: Callable[[Outcome], None]
    keyed: bool = False
    fault: Exception | None = None


@dataclass(slots=True)
class Row:
    """Adjacent batches of one partition, stored as one.

    Attributes:
        next: the offset after the last record.
        newest: the largest timestamp, in milliseconds since 1970.
    """

    partition: int
    base: int
    next: int
    newest: int
    pieces: list[bytes | memoryview]
    size: int
    records: int
    batches: bytes = b""


@dataclass(slots=True)
class Stage:
    """The appends of a round, as they will be if the commit succeeds.

    Args:
        ends: next offset by partition number, of what is committed.
        producers: producers' states, of what is committed.
        now: milliseconds since 1970.
    """

    committed_ends: Mapping[int, int]
    committed_producers: Mapping[ProducerKey, Producer]
    now: int
    ends: dict[int, int] = field(default_factory=dict)
    producers: dict[ProducerKey, Producer] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    _open: dict[int, Row] = field(default_factory=dict)

    def append(self, append: Append) -> Outcome:
        """Take one batch and say what will have become of it."""
        number, header = append.partition, append.header
        offset = self.ends.get(number)
        if offset is None:
            offset = self.committed_ends.get(number, 0)
        if offset + header.record_count >= 1 << OFFSET_BITS:
            # The next one would be the first of another partition. Sending again does not help, and
            # Kafka, whose offsets have 63 bits, has no error of its own for it.
            return Outcome(ErrorCode.policy_violation, reason=_USED_UP)
        if header.producer_id >= 0:
            key = (number, header.producer_id)
            verdict = judge(
                self.producers.get(key) or self.committed_producers.get(key),
                epoch=header.producer_epoch,
                first=header.base_sequence,
                count=header.record_count,
                offset=offset,
            )
            if isinstance(verdict, Written):
                return Outcome(ErrorCode.none, verdict.offset, repeat=True)
            if isinstance(verdict, ErrorCode):
                return Outcome(verdict)
            self.producers[key] = verdict
        self._place(append, offset)
        return Outcome(ErrorCode.none, offset, self.now if append.stamped else -1)

    def _place(self, append: Append, offset: int) -> None:
        number, header = append.partition, append.header
        size = len(append.records)
        time = self.now if append.stamped else None
        pieces = placed(append.records, header, offset, time)
        newest = header.max_timestamp if time is None else time
        self.ends[number] = offset + header.record_count
        row = self._open.get(number)
        if row is None or row.size + size > ROW_BYTES:
            row = Row(number, offset, offset, newest, [], 0, 0)
            self._open[number] = row
            self.rows.append(row)
        row.pieces += pieces
        row.size += size
        row.next = offset + header.record_count
        row.newest = max(row.newest, newest)
        row.records += header.record_count

    def close(self) -> None:
        """Join each row's batches."""
        for row in self.rows:
            row.batches = b"".join(row.pieces)
            row.pieces = []
