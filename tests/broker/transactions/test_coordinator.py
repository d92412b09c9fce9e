"""The coordinator of transactions without clock or sockets: the tables, then rule by rule."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
from kio.schema.errors import ErrorCode

from bus.broker.storage.positions import Position
from bus.broker.transactions.coordinator import Coordinator
from bus.broker.transactions.state import (
    ABORT,
    ADD,
    BEGIN,
    COMMIT,
    IDLE,
    NEXT,
    NOBODY,
    Identity,
    State,
    Transaction,
)

NONE = ErrorCode.none
FENCED = ErrorCode.producer_fenced
INVALID = ErrorCode.invalid_txn_state
CONCURRENT = ErrorCode.concurrent_transactions
MAPPING = ErrorCode.invalid_producer_id_mapping
LARGEST = 2**15 - 1
LONGEST, KEPT = 900_000, 1_000_000  # milliseconds
P, Q, R = 1, 2, 3  # partitions
NOW = 1_000_000
ENDS = {
    State.PREPARE_COMMIT: State.COMPLETE_COMMIT,
    State.PREPARE_ABORT: State.COMPLETE_ABORT,
}


class Desk:
    """A coordinator over rounds that all succeed, and the marks that it had written."""

    def __init__(self, *known: Transaction) -> None:
        self.now = NOW
        self.committed = {one.name: one for one in known}
        self.marks: list[Transaction] = []
        self.ids: Iterator[int] = count(100)

    def round(self) -> Coordinator:
        """Return the coordinator of a round."""
        return Coordinator(self.committed, self.now, self.marks.append)

    def take(self, done: Coordinator) -> None:
        """Commit a round."""
        self.committed |= done.changed
        for name in [one.name for one in done.changed.values() if one.state is State.DEAD]:
            del self.committed[name]

    def begin(
        self, name: str = "t", claimed: Identity = NOBODY, timeout: int = 1000
    ) -> Identity | ErrorCode:
        """Begin with a transactional id."""
        done = self.round()
        given = done.begin(name, claimed, timeout, lambda: next(self.ids), longest=LONGEST)
        self.take(done)
        return given

    def identity(self, name: str = "t") -> Identity:
        """Begin, and return the producer's id and epoch."""
        given = self.begin(name)
        assert isinstance(given, Identity)
        return given

    def add(self, who: Identity, *partitions: int, name: str = "t") -> ErrorCode:
        """Add partitions to a transaction."""
        done = self.round()
        error = done.add(name, who, partitions=partitions)
        self.take(done)
        return error

    def end(self, who: Identity, *, commit: bool, name: str = "t") -> ErrorCode:
        """End a transaction."""
        done = self.round()
        error, _ = done.end(name, who, commit=commit)
        self.take(done)
        return error

    def state(self, name: str = "t") -> State:
        """Return what a transaction is doing."""
        return self.committed[name].state


def known(state: State, **more: object) -> Transaction:
    """Return a transaction in a state, whose producer is 7 with epoch 3."""
    partitions = frozenset({P}) if state not in IDLE else frozenset()
    made = Transaction(
        name="t", producer=7, epoch=3, timeout=1000, state=state, started=NOW, updated=NOW
    )
    return replace(made, **({"partitions": partitions} | more))  # type: ignore[arg-type]


OURS = Identity(7, 3)


def test_the_tables_are_complete() -> None:
    assert all(set(table) == set(State) for table in (NEXT, ADD, COMMIT, ABORT, BEGIN))


@pytest.mark.parametrize("state", [state for state in State if state is not State.DEAD])
class TestInEveryState:
    """What is asked is answered as the tables say, and leaves a state that may follow."""

    def test_adding(self, state: State) -> None:
        desk = Desk(known(state))
        assert desk.add(OURS, Q) is ADD[state]
        allowed = ADD[state] is NONE
        assert desk.state() is (State.ONGOING if allowed else state)
        assert (Q in desk.committed["t"].partitions) is allowed

    @pytest.mark.parametrize("commit", [True, False], ids=["commit", "abort"])
    def test_ending(self, state: State, commit: bool) -> None:
        desk = Desk(known(state))
        assert desk.end(OURS, commit=commit) is (COMMIT if commit else ABORT)[state]
        if state is State.ONGOING:
            (mark,) = desk.marks
            assert mark.state is (State.PREPARE_COMMIT if commit else State.PREPARE_ABORT)
            assert (mark.identity, mark.partitions) == (OURS, frozenset({P}))
            assert desk.state() is ENDS[mark.state]
            assert not desk.committed["t"].partitions
        else:
            assert (desk.marks, desk.state()) == ([], state)

    def test_beginning(self, state: State) -> None:
        desk = Desk(known(state))
        given = desk.begin()
        if BEGIN[state] is not NONE:
            assert (given, desk.state()) == (BEGIN[state], state)
        elif state is State.ONGOING:
            assert given == Identity(7, 5)
            assert [(one.state, one.epoch) for one in desk.marks] == [(State.PREPARE_ABORT, 4)]
        else:
            assert (given, desk.marks) == (Identity(7, 4), [])

    def test_strangers_are_refused(self, state: State) -> None:
        desk = Desk(known(state))
        for stranger, error in (
            (Identity(8, 3), MAPPING),
            (Identity(7, 2), FENCED),
            (Identity(7, 4), FENCED),
        ):
            assert desk.add(stranger, Q) is error
            assert desk.end(stranger, commit=True) is error
            assert desk.round().verify("t", stranger, partition=P) is error
        assert desk.committed == {"t": known(state)}


@pytest.mark.parametrize(
    ("last", "claimed", "given"),
    [
        pytest.param(NOBODY, NOBODY, Identity(7, 4), id="whoever does not say who it was"),
        pytest.param(NOBODY, Identity(7, 3), Identity(7, 4), id="the latest"),
        pytest.param(NOBODY, Identity(7, 2), FENCED, id="the one before"),
        pytest.param(Identity(7, 2), Identity(7, 2), Identity(7, 3), id="who did not hear"),
        pytest.param(Identity(7, 2), Identity(7, 1), FENCED, id="one before that"),
        pytest.param(NOBODY, Identity(7, 9), FENCED, id="one that is not born"),
        pytest.param(NOBODY, Identity(8, 3), FENCED, id="another id"),
        pytest.param(Identity(6, 32766), Identity(6, 32766), Identity(7, 3), id="a new id unheard"),
    ],
)
def test_renewing(last: Identity, claimed: Identity, given: Identity | ErrorCode) -> None:
    desk = Desk(known(State.COMPLETE_COMMIT, last=last))
    assert desk.begin(claimed=claimed) == given


@pytest.mark.parametrize(
    ("claimed", "given"),
    [
        pytest.param(NOBODY, Identity(7, 5), id="another one"),
        pytest.param(Identity(7, 3), Identity(7, 4), id="its own producer"),
        pytest.param(Identity(7, 2), FENCED, id="the one before, which aborts nothing"),
    ],
)
def test_renewing_while_a_transaction_is_open(
    claimed: Identity, given: Identity | ErrorCode
) -> None:
    desk = Desk(known(State.ONGOING, last=Identity(7, 2)))
    assert desk.begin(claimed=claimed) == given
    aborted = given is not FENCED
    assert len(desk.marks) == aborted
    assert desk.state() is (State.EMPTY if aborted else State.ONGOING)


@pytest.mark.parametrize(
    ("epoch", "state", "claimed", "given", "last"),
    [
        pytest.param(LARGEST - 2, State.EMPTY, NOBODY, (7, LARGEST - 1), NOBODY, id="the last"),
        pytest.param(LARGEST - 1, State.EMPTY, NOBODY, (100, 0), NOBODY, id="none is left"),
        pytest.param(
            LARGEST - 1, State.EMPTY, (7, LARGEST - 1), (100, 0), (7, LARGEST - 1), id="its own"
        ),
        pytest.param(
            LARGEST - 1, State.ONGOING, NOBODY, (100, 0), NOBODY, id="the largest is for fencing"
        ),
        pytest.param(LARGEST - 2, State.ONGOING, NOBODY, (100, 0), NOBODY, id="used up by fencing"),
    ],
)
def test_epochs_run_out(
    epoch: int,
    state: State,
    claimed: tuple[int, int],
    given: tuple[int, int],
    last: tuple[int, int],
) -> None:
    desk = Desk(known(state, epoch=epoch))
    assert desk.begin(claimed=Identity(*claimed)) == given
    assert desk.committed["t"].last == last
    assert all(one.epoch <= LARGEST for one in desk.marks)


@pytest.mark.parametrize(
    ("name", "timeout", "error"),
    [
        ("", 1000, ErrorCode.invalid_request),
        ("t", 0, ErrorCode.invalid_transaction_timeout),
        ("t", LONGEST + 1, ErrorCode.invalid_transaction_timeout),
    ],
)
def test_who_cannot_begin(name: str, timeout: int, error: ErrorCode) -> None:
    desk = Desk()
    assert desk.begin(name, timeout=timeout) is error
    assert not desk.committed


def test_a_transaction_begins_with_what_is_added_first() -> None:
    desk = Desk()
    who = desk.identity()
    assert (desk.state(), desk.committed["t"].started) == (State.EMPTY, -1)
    desk.add(who, P)
    desk.now += 10
    desk.add(who, Q)
    assert desk.committed["t"].started == NOW
    assert desk.committed["t"].partitions == {P, Q}


def test_what_is_added_again_is_not_stored_again() -> None:
    desk = Desk(known(State.ONGOING))
    done = desk.round()
    assert done.add("t", OURS, partitions=[P]) is NONE
    assert not done.changed


def test_only_what_was_added_may_be_written() -> None:
    desk = Desk(known(State.ONGOING, groups=frozenset({"g"})))
    abortable = ErrorCode.transaction_abortable
    assert desk.round().verify("t", OURS, partition=P) is NONE
    assert desk.round().verify("t", OURS, partition=Q) is abortable
    assert desk.round().verify("t", OURS, group="g") is NONE
    assert desk.round().verify("t", OURS, group="h") is abortable
    assert desk.round().verify("u", OURS, partition=P) is MAPPING
    assert desk.round().verify(None, OURS, partition=P) is ErrorCode.invalid_request


@pytest.mark.parametrize("commit", [True, False], ids=["commit", "abort"])
def test_positions_are_in_force_with_the_commit(commit: bool) -> None:
    desk = Desk(known(State.ONGOING, groups=frozenset({"g"})))
    done = desk.round()
    done.keep("t", "g", {("a", 0): Position(1, -1, ""), ("a", 1): Position(2, -1, "")})
    done.keep("t", "g", {("a", 0): Position(3, -1, "later")})
    desk.take(done)
    _, positions = desk.round().end("t", OURS, commit=commit)
    wanted = {("g", "a", 0): Position(3, -1, "later"), ("g", "a", 1): Position(2, -1, "")}
    assert positions == (wanted if commit else {})


BOTH = [pytest.param(["t", "u"], id="first"), pytest.param(["u", "t"], id="last")]


def two_with_positions() -> Desk:
    """Return a desk where "t" has a position of 10, and "u" later one of 20 in the same place."""
    groups = frozenset({"g"})
    desk = Desk(known(State.ONGOING, groups=groups))
    desk.committed["u"] = replace(desk.committed["t"], name="u")
    for name, offset in (("t", 10), ("u", 20)):
        done = desk.round()
        done.keep(name, "g", {("a", 0): Position(offset, -1, "")}, ["t", "u"])
        desk.take(done)
    return desk


@pytest.mark.parametrize("order", BOTH)
def test_of_two_positions_the_later_one_stands_whatever_is_ended_last(order: list[str]) -> None:
    desk, position = two_with_positions(), -1
    for name in order:
        done = desk.round()
        _, positions = done.end(name, OURS, commit=True, rivals=["t", "u"])
        desk.take(done)
        position = max([position, *(one.offset for one in positions.values())])
        assert all(one.offset == position for one in positions.values())
    assert position == 20


def test_an_aborted_position_lets_an_earlier_one_stand() -> None:
    desk = two_with_positions()
    done = desk.round()
    done.end("u", OURS, commit=False, rivals=["t", "u"])
    desk.take(done)
    _, positions = desk.round().end("t", OURS, commit=True, rivals=["t", "u"])
    assert [one.offset for one in positions.values()] == [10]


def test_a_position_outside_of_transactions_stands_against_earlier_ones() -> None:
    desk = two_with_positions()
    done = desk.round()
    done.overtake("g", [("a", 0)], ["t", "u", "none"])
    done.keep("u", "g", {("a", 0): Position(30, -1, "")}, ["t", "u"])
    desk.take(done)
    assert list(desk.committed["t"].positions) == [("g", "a", 0)]  # who wants it stable waits
    assert desk.round().end("t", OURS, commit=True)[1] == {}
    _, positions = desk.round().end("u", OURS, commit=True)
    assert [one.offset for one in positions.values()] == [30]


@pytest.mark.parametrize(
    ("past", "late"), [pytest.param(999, False, id="in time"), pytest.param(1000, True, id="late")]
)
def test_a_transaction_that_is_open_for_too_long_is_aborted(past: int, late: bool) -> None:
    desk = Desk(known(State.ONGOING))
    desk.now += past
    done = desk.round()
    done.abort_late(["t", "none"])
    desk.take(done)
    assert desk.state() is (State.COMPLETE_ABORT if late else State.ONGOING)
    assert [one.epoch for one in desk.marks] == ([4] if late else [])
    if late:
        assert desk.end(OURS, commit=True) is FENCED
        assert desk.begin(claimed=OURS) == Identity(7, 4)


@pytest.mark.parametrize("state", [state for state in State if state is not State.DEAD])
def test_transactional_ids_that_are_not_used_are_forgotten(state: State) -> None:
    desk = Desk(known(state))
    for past, forgotten in ((KEPT - 1, False), (KEPT, state in IDLE)):
        desk.now = NOW + past
        done = desk.round()
        done.expire(KEPT)
        desk.take(done)
        assert ("t" not in desk.committed) is forgotten


def test_a_dropped_topic_leaves_open_transactions() -> None:
    positions = {("g", "gone", 0): Position(1, -1, ""), ("g", "kept", 0): Position(2, -1, "")}
    desk = Desk(known(State.ONGOING, partitions=frozenset({P, Q, R}), positions=positions))
    done = desk.round()
    done.drop_topic("gone", [P, Q])
    desk.take(done)
    assert desk.end(OURS, commit=True) is NONE
    (mark,) = desk.marks
    assert mark.partitions == {R}
    assert list(mark.positions) == [("g", "kept", 0)]


@pytest.mark.parametrize(
    ("places", "kept"), [(None, [("h", "a", 0)]), ([("a", 0)], [("g", "a", 1), ("h", "a", 0)])]
)
def test_positions_that_are_deleted_leave_open_transactions(
    places: list[tuple[str, int]] | None, kept: list[tuple[str, str, int]]
) -> None:
    positions = {
        place: Position(1, -1, "") for place in (("g", "a", 0), ("g", "a", 1), ("h", "a", 0))
    }
    desk = Desk(known(State.ONGOING, positions=positions))
    done = desk.round()
    done.drop_positions("g", places)
    desk.take(done)
    assert list(desk.committed["t"].positions) == kept


def test_a_round_that_fails_leaves_nothing() -> None:
    desk = Desk(known(State.ONGOING))
    failed = desk.round()
    assert failed.end("t", OURS, commit=True) == (NONE, {})
    assert failed.end("t", OURS, commit=True) == (NONE, {})
    assert failed.end("t", OURS, commit=False) == (INVALID, {})
    assert desk.state() is State.ONGOING
