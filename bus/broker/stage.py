"""What one commit round appends: offsets, repeats, joined rows. Pure."""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kio.schema.errors import ErrorCode

from bus.broker.admission import ANYTHING, Demands
from bus.broker.batch import TRANSACTIONAL, Header, mark, placed
from bus.broker.sequences import Producer, Written, judge
from bus.broker.transactions.coordinator import Coordinator
from bus.broker.transactions.state import Aborted, Identity, State, Transaction

ROW_BYTES = 2**20
OFFSET_BITS = 40  # a partition holds 2^40 offsets, the database 2^23 partitions
_FOR_MARKS = 2**20  # offsets that are left for the ends of transactions

_WITHIN = "the producer has a transaction open in this partition: all it writes belongs to it"
_USED_UP = f"the partition's {1 << OFFSET_BITS} offsets are used up: publish to another topic"

ProducerKey = tuple[int, int]  # partition number, producer id
Pieces = Sequence[bytes | memoryview]


class Outcome(NamedTuple):
    """What became of an append.

    Attributes:
        error: none if it is stored, or was before.
        offset: of the first record; -1 if it is not stored.
        time: append time in milliseconds since 1970; -1 if the records keep their own.
        repeat: whether it was stored before.
        reason: why it is refused, for people; None if the error says it all.
        named: the places of records that are to blame, and what is wrong with each.
    """

    error: ErrorCode
    offset: int = -1
    time: int = -1
    repeat: bool = False
    reason: str | None = None
    named: Sequence[tuple[int, str]] = ()


@dataclass(slots=True)
class Append:
    """A batch on its way into a partition, its header checked.

    Attributes:
        stamped: whether its records get the time when they are appended.
        done: told once it is durable or refused.
        demands: what its topic demands of it.
        transactional_id: of the request; None if it has none.
        source: who it comes from; sources take turns.
        fault: what a test has arranged to go wrong at its commit.
    """

    partition: int
    records: bytes
    header: Header
    stamped: bool
    done: Callable[[Outcome], None]
    demands: Demands = ANYTHING
    transactional_id: str | None = None
    source: Hashable = None
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
        transactions: by transactional id, of what is committed.
        opened: where open transactions began, by partition and producer, of what is committed.
        gone: partitions that were dropped before, or are damaged: nothing is appended to them.
        stamped: partitions whose batches get the time when they are appended, marks too.

    Attributes:
        ends, producers: what is other than before.
        transactions: all transactions, and which are other than before.
        opened: where transactions began that are open now and were not, or None where they ended.
        aborted: what was written in vain.
        dropped: the partitions that are gone.
        rows: what is to be stored.
    """

    committed_ends: Mapping[int, int]
    committed_producers: Mapping[ProducerKey, Producer]
    now: int
    committed_transactions: Mapping[str, Transaction] = field(default_factory=dict)
    committed_opened: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    gone: Collection[int] = frozenset()
    stamped: Collection[int] = frozenset()
    transactions: Coordinator = field(init=False)
    opened: dict[int, dict[int, int | None]] = field(default_factory=dict)
    aborted: list[Aborted] = field(default_factory=list)
    dropped: set[int] = field(default_factory=set)
    ends: dict[int, int] = field(default_factory=dict)
    producers: dict[ProducerKey, Producer] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    _open: dict[int, Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.transactions = Coordinator(self.committed_transactions, self.now, self._mark)

    def append(self, append: Append) -> Outcome:
        """Take one batch and say what will have become of it."""
        number, header = append.partition, append.header
        if number in self.dropped or number in self.gone:
            return Outcome(ErrorCode.unknown_topic_or_partition)
        offset = self.ends.get(number)
        if offset is None:
            offset = self.committed_ends.get(number, 0)
        if offset + header.record_count >= (1 << OFFSET_BITS) - _FOR_MARKS:
            # The next one would be the first of another partition. Sending again does not help, and
            # Kafka, whose offsets have 63 bits, has no error of its own for it.
            return Outcome(ErrorCode.policy_violation, reason=_USED_UP)
        if header.producer_id >= 0:
            told = self._sequence(append, offset)
            if told is not None:
                return told
        self._place(append, offset)
        return Outcome(ErrorCode.none, offset, self.now if append.stamped else -1)

    def _sequence(self, append: Append, offset: int) -> Outcome | None:
        """Take note of a producer's batch that is next; or say why it is not stored."""
        number, header = append.partition, append.header
        key = (number, header.producer_id)
        known = self.producers.get(key) or self.committed_producers.get(key)
        transactional, begins = header.attributes & TRANSACTIONAL, False
        if transactional:
            begins = known is None or known.opened is None
            if begins or (known and known.epoch != header.producer_epoch):
                error = self._verify(append)
                if error is not ErrorCode.none:
                    return Outcome(error)
        verdict = judge(
            known,
            epoch=header.producer_epoch,
            first=header.base_sequence,
            count=header.record_count,
            offset=offset,
        )
        if isinstance(verdict, Written):
            return Outcome(ErrorCode.none, verdict.offset, repeat=True)
        if isinstance(verdict, ErrorCode):
            return Outcome(verdict)
        if begins:
            verdict = verdict.opening(offset)
            self.opened.setdefault(number, {})[header.producer_id] = offset
        elif verdict.opened is not None and not transactional:
            return Outcome(ErrorCode.invalid_txn_state, reason=_WITHIN)
        self.producers[key] = verdict
        return None

    def _place(self, append: Append, offset: int) -> None:
        header = append.header
        time = self.now if append.stamped else None
        pieces = placed(append.records, header, offset, time)
        newest = header.max_timestamp if time is None else time
        if newest < 0:  # records without a time are as old as their row
            newest = self.now
        size = len(append.records)
        self._put(append.partition, offset, header.record_count, pieces, size, newest)

    def _put(
        self, number: int, offset: int, count: int, pieces: Pieces, size: int, newest: int
    ) -> None:
        self.ends[number] = offset + count
        row = self._open.get(number)
        if row is None or row.size + size > ROW_BYTES:
            row = Row(number, offset, offset, newest, [], 0, 0)
            self._open[number] = row
            self.rows.append(row)
        row.pieces += pieces
        row.size += size
        row.next = offset + count
        row.newest = max(row.newest, newest)
        row.records += count

    def drop(self, topic: str, partitions: Collection[int]) -> None:
        """Forget a topic's partitions and what open transactions have to do with them."""
        self.transactions.drop_topic(topic, partitions)
        self.dropped |= set(partitions)
        for key in [key for key in self.producers if key[0] in self.dropped]:
            del self.producers[key]
        self.aborted = [one for one in self.aborted if one.partition not in self.dropped]
        for number in partitions:
            self.opened.pop(number, None)

    def _end(self, number: int) -> int:
        offset = self.ends.get(number)
        return self.committed_ends.get(number, 0) if offset is None else offset

    def _verify(self, append: Append) -> ErrorCode:
        """Say whether a producer's transaction may reach into one more partition."""
        header = append.header
        error = self.transactions.verify(
            append.transactional_id,
            Identity(header.producer_id, header.producer_epoch),
            partition=append.partition,
        )
        # As the partition knows nothing of fencing: AddPartitionsToTxnManager of Kafka.
        fenced = error is ErrorCode.producer_fenced
        return ErrorCode.invalid_producer_epoch if fenced else error

    def _mark(self, ended: Transaction) -> None:
        """Mark the end of a transaction in each of its partitions."""
        commit = ended.state is State.PREPARE_COMMIT
        for number in sorted(ended.partitions):
            if number in self.dropped or number in self.gone:
                continue
            offset = self._end(number)
            stamped = number in self.stamped
            batch = mark(*ended.identity, offset, self.now, commit=commit, stamped=stamped)
            self._put(number, offset, 1, [batch], len(batch), self.now)
            key = (number, ended.producer)
            known = self.producers.get(key) or self.committed_producers.get(key)
            self.producers[key] = (known or Producer(-1, -1)).marked(ended.epoch)
            if known is None or known.opened is None:
                continue
            self.opened.setdefault(number, {})[ended.producer] = None
            if not commit:
                stable = self._stable(number)
                self.aborted.append(Aborted(number, ended.producer, known.opened, offset, stable))

    def _stable(self, number: int) -> int:
        began = {**self.committed_opened.get(number, {}), **self.opened.get(number, {})}
        still = [offset for offset in began.values() if offset is not None]
        return min(still, default=self._end(number))

    def close(self) -> None:
        """Join each row's batches."""
        for row in self.rows:
            row.batches = b"".join(row.pieces)
            row.pieces = []
