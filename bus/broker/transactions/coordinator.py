"""All transactions as one commit round sees them: what is committed, and what the round changed.

Pure: time comes in as milliseconds since 1970, producer ids and the writing of marks as functions.
The rules are Kafka's (TransactionCoordinator, TransactionMetadata), with one difference: a
transaction's end is decided, marked and complete in one round, which is one commit. So the states
between (PrepareCommit, PrepareAbort, PrepareEpochFence) are passed through and never stored or
seen, and who begins anew need not ask again while what was open is aborted.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from kio.schema.errors import ErrorCode

from bus.broker.storage.positions import Position
from bus.broker.transactions.state import (
    ABORT,
    ADD,
    BEGIN,
    COMMIT,
    IDLE,
    NOBODY,
    OVERTAKEN,
    Identity,
    Place,
    Positions,
    State,
    Transaction,
    is_exhausted,
)

Mark = Callable[[Transaction], None]


class Coordinator:
    """All transactions by transactional id.

    Args:
        committed: those that are stored.
        now: milliseconds since 1970.
        mark: writes the marks of a transaction whose end is decided, in all its partitions.

    Attributes:
        changed: what is to be stored; what is dead is to be deleted.
    """

    def __init__(self, committed: Mapping[str, Transaction], now: int, mark: Mark) -> None:
        self._committed, self._now, self._mark = committed, now, mark
        self.changed: dict[str, Transaction] = {}

    def get(self, name: str) -> Transaction | None:
        """Return the transaction of this transactional id."""
        found = self.changed.get(name) or self._committed.get(name)
        return None if found is None or found.state is State.DEAD else found

    def __iter__(self) -> Iterator[Transaction]:
        every = (self.get(name) for name in {**self._committed, **self.changed})
        return (one for one in every if one is not None)

    def begin(
        self,
        name: str,
        claimed: Identity,
        timeout: int,
        new_id: Callable[[], int],
        *,
        longest: int,
    ) -> Identity | ErrorCode:
        """Give a producer its id and epoch; whoever had the transactional id before is shut out.

        Args:
            name: the transactional id.
            claimed: what the producer had before, to go on after an error (KIP-360).
            timeout: milliseconds that a transaction may take.
            new_id: returns a producer id that was never given.
            longest: milliseconds that it may be given at the most.
        """
        if not name:
            return ErrorCode.invalid_request
        if not 0 < timeout <= longest:
            return ErrorCode.invalid_transaction_timeout
        found = self.get(name)
        if found is None:
            found = Transaction(name=name, producer=new_id(), timeout=timeout)
        error = BEGIN[found.state]
        if error is not ErrorCode.none:
            return error
        ending = None
        if found.state is State.ONGOING:
            ending = found.fenced(self._now).prepared(self._now, commit=False)
            found = ending.completed(self._now)
        taken = _taken(found, claimed, new_id)
        if isinstance(taken, ErrorCode):
            return taken
        if ending is not None:
            self._mark(ending)
        identity, last = taken
        self.changed[name] = found.begun(identity, last, timeout, self._now)
        return identity

    def add(
        self,
        name: str,
        claimed: Identity,
        *,
        partitions: Iterable[int] = (),
        groups: Iterable[str] = (),
    ) -> ErrorCode:
        """Add partitions or groups to a transaction; the first ones begin it."""
        found = self._claimed(name, claimed)
        if isinstance(found, ErrorCode):
            return found
        error = ADD[found.state]
        if error is ErrorCode.none:
            more, others = frozenset(partitions), frozenset(groups)
            known = more <= found.partitions and others <= found.groups
            if found.state is not State.ONGOING or not known:
                self.changed[name] = found.added(more, others, self._now)
        return error

    def end(
        self, name: str, claimed: Identity, *, commit: bool, rivals: Iterable[str] = ()
    ) -> tuple[ErrorCode, Positions]:
        """Commit or abort a transaction.

        Args:
            rivals: open transactions that may have positions in the same places.

        Returns:
            what the producer is told, and the positions that are in force now.
        """
        found = self._claimed(name, claimed)
        if isinstance(found, ErrorCode):
            return found, {}
        error = (COMMIT if commit else ABORT)[found.state]
        if found.state is not State.ONGOING:
            return error, {}
        self._end(found.prepared(self._now, commit=commit))
        if not commit:
            return error, {}
        turns = {place: found.turns.get(place, 0) for place in found.positions}
        self._overtake(rivals, turns)
        return error, {
            place: position
            for place, position in found.positions.items()
            if turns[place] != OVERTAKEN
        }

    def abort_late(self, names: Iterable[str]) -> None:
        """Abort those transactions that are open for too long, and shut their producers out."""
        for name in names:
            found = self.get(name)
            if found is not None and found.late(self._now):
                self._end(found.fenced(self._now).prepared(self._now, commit=False))

    def verify(
        self, name: str | None, claimed: Identity, *, partition: int = -1, group: str | None = None
    ) -> ErrorCode:
        """Say whether a producer may write to a partition, or commit a group's positions.

        Returns:
            transaction_abortable for what was not added.
        """
        found = self._claimed(name or "", claimed)
        if isinstance(found, ErrorCode):
            return found
        if ADD[found.state] is not ErrorCode.none:
            return ADD[found.state]
        added = partition in found.partitions if group is None else group in found.groups
        return ErrorCode.none if added else ErrorCode.transaction_abortable

    def keep(
        self,
        name: str,
        group: str,
        positions: Mapping[tuple[str, int], Position],
        rivals: Iterable[str] = (),
    ) -> None:
        """Take positions that will be committed with a transaction that was verified.

        Args:
            rivals: open transactions that may have positions in the same places.
        """
        found = self.get(name)
        if found is None or found.state is not State.ONGOING:
            raise AssertionError(f"{name}: positions of no transaction")
        more = {(group, *place): position for place, position in positions.items()}
        open_ones = [found, *filter(None, map(self.get, rivals))]
        turn = 1 + max((turn for one in open_ones for turn in one.turns.values()), default=0)
        self.changed[name] = replace(
            found,
            positions={**found.positions, **more},
            turns={**found.turns, **dict.fromkeys(more, turn)},
        )

    def overtake(
        self, group: str, places: Iterable[tuple[str, int]], rivals: Iterable[str]
    ) -> None:
        """Let a group's positions that are committed now stand, whatever came before them.

        Args:
            rivals: open transactions that may have positions in the same places.
        """
        self._overtake(rivals, {(group, *place): None for place in places})

    def _overtake(self, rivals: Iterable[str], turns: Mapping[Place, int | None]) -> None:
        """Let open transactions' positions go that came before others; None comes after all."""
        for found in filter(None, map(self.get, rivals)):
            late = {
                place: OVERTAKEN
                for place, turn in found.turns.items()
                if place in turns and _comes_after(turns[place], turn)
            }
            if late and found.state is State.ONGOING:
                self.changed[found.name] = replace(found, turns={**found.turns, **late})

    def drop_topic(self, topic: str, partitions: Iterable[int]) -> None:
        """Forget what open transactions have to do with a topic that is deleted."""
        gone = frozenset(partitions)
        for found in self:
            kept = {key: value for key, value in found.positions.items() if key[1] != topic}
            self._keep_only(found, found.partitions - gone, kept)

    def drop_positions(self, group: str, places: Iterable[tuple[str, int]] | None) -> None:
        """Forget a group's positions in open transactions: in some partitions, or all if None."""
        gone = None if places is None else set(places)
        for found in self:
            kept = {
                key: value
                for key, value in found.positions.items()
                if key[0] != group or (gone is not None and key[1:] not in gone)
            }
            self._keep_only(found, found.partitions, kept)

    def expire(self, kept: int) -> None:
        """Forget transactional ids that have not been used for so many milliseconds."""
        for found in self:
            if found.state in IDLE and self._now >= found.updated + kept:
                self.changed[found.name] = found.dead()

    def _claimed(self, name: str, claimed: Identity) -> Transaction | ErrorCode:
        """Return the transaction if it is the producer's own."""
        if not name:
            return ErrorCode.invalid_request
        found = self.get(name)
        if found is None or found.producer != claimed.producer:
            return ErrorCode.invalid_producer_id_mapping
        if found.epoch != claimed.epoch:
            return ErrorCode.producer_fenced
        return found

    def _end(self, prepared: Transaction) -> None:
        self._mark(prepared)
        self.changed[prepared.name] = prepared.completed(self._now)

    def _keep_only(
        self, found: Transaction, partitions: frozenset[int], positions: Positions
    ) -> None:
        if len(partitions) < len(found.partitions) or len(positions) < len(found.positions):
            self.changed[found.name] = replace(found, partitions=partitions, positions=positions)


def _comes_after(one: int | None, other: int) -> bool:
    return one is None or one > other


def _taken(
    found: Transaction, claimed: Identity, new_id: Callable[[], int]
) -> tuple[Identity, Identity] | ErrorCode:
    """Return the next identity with a transactional id, and who may ask for it once more."""
    last = NOBODY
    if claimed != NOBODY and found.epoch >= 0:
        if claimed == found.last:
            return found.identity, found.last  # the answer to the first time may have been lost
        if claimed != found.identity:
            return ErrorCode.producer_fenced
        last = found.identity
    if is_exhausted(found.epoch):
        return Identity(new_id(), 0), last
    return Identity(found.producer, found.epoch + 1), last
