"""What a transaction can be doing, what may be asked of it meanwhile, and a transaction. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NamedTuple, Self

from kio.schema.errors import ErrorCode

from bus.broker.storage.positions import Position


class State(Enum):
    """What a transaction is doing, by the name that administrators see."""

    EMPTY = "Empty"
    ONGOING = "Ongoing"
    PREPARE_COMMIT = "PrepareCommit"
    PREPARE_ABORT = "PrepareAbort"
    COMPLETE_COMMIT = "CompleteCommit"
    COMPLETE_ABORT = "CompleteAbort"
    DEAD = "Dead"
    PREPARE_EPOCH_FENCE = "PrepareEpochFence"


# fmt: off
NEXT = {
    State.EMPTY:               {State.EMPTY, State.ONGOING, State.DEAD},
    State.ONGOING:             {State.ONGOING, State.PREPARE_COMMIT, State.PREPARE_ABORT,
                                State.PREPARE_EPOCH_FENCE},
    State.PREPARE_COMMIT:      {State.COMPLETE_COMMIT},
    State.PREPARE_ABORT:       {State.COMPLETE_ABORT},
    State.COMPLETE_COMMIT:     {State.EMPTY, State.ONGOING, State.DEAD},
    State.COMPLETE_ABORT:      {State.EMPTY, State.ONGOING, State.DEAD},
    State.DEAD:                set(),
    State.PREPARE_EPOCH_FENCE: {State.PREPARE_ABORT},
}

# What whoever wants to write in a transaction is told.
ADD = {
    State.EMPTY:               ErrorCode.none,
    State.ONGOING:             ErrorCode.none,
    State.PREPARE_COMMIT:      ErrorCode.concurrent_transactions,
    State.PREPARE_ABORT:       ErrorCode.concurrent_transactions,
    State.COMPLETE_COMMIT:     ErrorCode.none,
    State.COMPLETE_ABORT:      ErrorCode.none,
    State.DEAD:                ErrorCode.invalid_producer_id_mapping,
    State.PREPARE_EPOCH_FENCE: ErrorCode.concurrent_transactions,
}

# What whoever wants to commit, or to abort, is told; only an ongoing transaction is then ended.
COMMIT = {
    State.EMPTY:               ErrorCode.invalid_txn_state,
    State.ONGOING:             ErrorCode.none,
    State.PREPARE_COMMIT:      ErrorCode.concurrent_transactions,
    State.PREPARE_ABORT:       ErrorCode.invalid_txn_state,
    State.COMPLETE_COMMIT:     ErrorCode.none,
    State.COMPLETE_ABORT:      ErrorCode.invalid_txn_state,
    State.DEAD:                ErrorCode.invalid_producer_id_mapping,
    State.PREPARE_EPOCH_FENCE: ErrorCode.concurrent_transactions,
}
ABORT = {
    State.EMPTY:               ErrorCode.invalid_txn_state,
    State.ONGOING:             ErrorCode.none,
    State.PREPARE_COMMIT:      ErrorCode.invalid_txn_state,
    State.PREPARE_ABORT:       ErrorCode.concurrent_transactions,
    State.COMPLETE_COMMIT:     ErrorCode.invalid_txn_state,
    State.COMPLETE_ABORT:      ErrorCode.none,
    State.DEAD:                ErrorCode.invalid_producer_id_mapping,
    State.PREPARE_EPOCH_FENCE: ErrorCode.concurrent_transactions,
}

# What whoever wants to begin with the transactional id is told; an ongoing transaction is aborted.
BEGIN = {
    State.EMPTY:               ErrorCode.none,
    State.ONGOING:             ErrorCode.none,
    State.PREPARE_COMMIT:      ErrorCode.concurrent_transactions,
    State.PREPARE_ABORT:       ErrorCode.concurrent_transactions,
    State.COMPLETE_COMMIT:     ErrorCode.none,
    State.COMPLETE_ABORT:      ErrorCode.none,
    State.DEAD:                ErrorCode.none,
    State.PREPARE_EPOCH_FENCE: ErrorCode.concurrent_transactions,
}
# fmt: on

# Whose transactional ids are forgotten when they have not been used for long.
IDLE = {State.EMPTY, State.COMPLETE_COMMIT, State.COMPLETE_ABORT}

_LARGEST_EPOCH = 2**15 - 1


class Identity(NamedTuple):
    """A producer as it names itself: its id and epoch; -1 and -1 if it has none yet."""

    producer: int = -1
    epoch: int = -1


NOBODY = Identity()


class Aborted(NamedTuple):
    """What a producer wrote to a partition in vain.

    Attributes:
        first: the offset where its transaction began.
        last: the offset of the mark that ended it.
        stable: the last stable offset right after it: what is aborted later begins there at least.
    """

    partition: int
    producer: int
    first: int
    last: int
    stable: int


Place = tuple[str, str, int]  # group, topic and partition
Positions = Mapping[Place, Position]

OVERTAKEN = -1
"""The turn of a position that came before another one which is in force by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A transactional id: its producer, and what that is doing. TransactionMetadata of Kafka.

    Attributes:
        name: the transactional id.
        producer, epoch: whose batches belong to it.
        last: who it was before, if that one may learn its present id by asking again.
        timeout: milliseconds that a transaction may take.
        started: when the transaction began, in milliseconds since 1970; -1 if there was none.
        updated: when its state changed last.
        partitions: the numbers of the partitions that may be written to.
        groups: whose positions may be committed.
        positions: those that will be committed with it.
        turns: in which turn each of them came, among those of all open transactions: whichever came
            last is in force in the end, whatever is ended last.
    """

    name: str
    producer: int
    epoch: int = -1
    last: Identity = NOBODY
    timeout: int
    state: State = State.EMPTY
    started: int = -1
    updated: int = -1
    partitions: frozenset[int] = frozenset()
    groups: frozenset[str] = frozenset()
    positions: Positions = field(default_factory=dict)
    turns: Mapping[Place, int] = field(default_factory=dict)

    @property
    def identity(self) -> Identity:
        """The one that may write."""
        return Identity(self.producer, self.epoch)

    def late(self, now: int) -> bool:
        """Say whether a transaction is open for longer than it may be."""
        return self.state is State.ONGOING and now >= self.started + self.timeout

    def added(self, partitions: frozenset[int], groups: frozenset[str], now: int) -> Self:
        """Return it with partitions or groups added; the first begin a transaction."""
        begun = self.state is State.ONGOING
        return self._become(
            State.ONGOING,
            started=self.started if begun else now,
            updated=now,
            partitions=self.partitions | partitions,
            groups=self.groups | groups,
        )

    def fenced(self, now: int) -> Self:
        """Return it about to be aborted, its producer shut out."""
        return self._become(
            State.PREPARE_EPOCH_FENCE,
            epoch=min(self.epoch + 1, _LARGEST_EPOCH),
            last=self.identity,
            updated=now,
        )

    def prepared(self, now: int, *, commit: bool) -> Self:
        """Return it with its end decided: from here on there is no way back."""
        return self._become(State.PREPARE_COMMIT if commit else State.PREPARE_ABORT, updated=now)

    def completed(self, now: int) -> Self:
        """Return it ended."""
        committed = self.state is State.PREPARE_COMMIT
        return self._become(
            State.COMPLETE_COMMIT if committed else State.COMPLETE_ABORT,
            updated=now,
            partitions=frozenset(),
            groups=frozenset(),
            positions={},
            turns={},
        )

    def begun(self, identity: Identity, last: Identity, timeout: int, now: int) -> Self:
        """Return it as a producer takes it over."""
        return self._become(
            State.EMPTY,
            producer=identity.producer,
            epoch=identity.epoch,
            last=last,
            timeout=timeout,
            started=-1,
            updated=now,
        )

    def dead(self) -> Self:
        """Return it about to be forgotten."""
        return self._become(State.DEAD)

    def _become(self, state: State, **changes: object) -> Self:
        if state not in NEXT[self.state]:
            raise AssertionError(f"{self.name}: {self.state} cannot become {state}")
        return replace(self, state=state, **changes)  # type: ignore[arg-type]  # as fields are


def is_exhausted(epoch: int) -> bool:
    """Say whether a producer with this epoch needs a new id; the largest is for fencing alone."""
    return epoch >= _LARGEST_EPOCH - 1
