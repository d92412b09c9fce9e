"""The transactions on an event loop: which positions wait, and what is done when it is due."""

from dataclasses import replace

import pytest

from bus.broker.storage.positions import Position
from bus.broker.transactions.coordinator import Coordinator
from bus.broker.transactions.shell import Transactions, Turn
from bus.broker.transactions.state import State, Transaction

KEPT = 1_000_000_000  # milliseconds
NOW = 10 * KEPT


def transaction(name: str, state: State, at: int, *places: str) -> Transaction:
    """Return a transaction that began, or was used last, at a time; with positions in topics."""
    positions = {("g", topic, 0): Position(1, -1, "") for topic in places}
    return Transaction(
        name=name,
        producer=7,
        epoch=0,
        timeout=1000,
        state=state,
        started=at,
        updated=at,
        positions=positions,
    )


def test_positions_wait_for_every_transaction_that_has_them() -> None:
    every = Transactions(lambda: NOW, kept=KEPT)
    one = transaction("one", State.ONGOING, NOW, "a", "b")
    other = transaction("other", State.ONGOING, NOW, "a")
    every.know([one, other])
    assert waiting(every) == {"a", "b"}
    every.know([replace(one, state=State.COMPLETE_COMMIT, positions={})])
    assert waiting(every) == {"a"}
    every.know([replace(other, positions={})])
    assert waiting(every) == set()


@pytest.mark.parametrize(
    ("began", "seen"),
    [
        pytest.param([], (0, 0.0), id="none"),
        pytest.param([NOW - 500, NOW - 2500], (2, 2.5), id="as old as the oldest"),
        pytest.param([NOW + 500], (1, 0.0), id="never younger than now"),
    ],
)
def test_how_many_are_open_and_for_how_long(began: list[int], seen: tuple[int, float]) -> None:
    every = Transactions(lambda: NOW, kept=KEPT)
    every.know(transaction(str(at), State.ONGOING, at) for at in began)
    every.know([transaction("idle", State.COMPLETE_COMMIT, 0)])
    assert every.open() == seen


def waiting(every: Transactions) -> set[str]:
    """Return the topics whose positions wait."""
    return {topic for topic in "abc" if every.unstable("g", topic, 0)}


def test_what_is_dead_is_forgotten() -> None:
    every = Transactions(lambda: NOW, kept=KEPT)
    one = transaction("one", State.ONGOING, NOW, "a")
    every.know([one])
    every.know([replace(one, state=State.DEAD)])
    assert (every.get("one"), list(every), waiting(every)) == (None, [], set())


@pytest.mark.parametrize(
    ("state", "at", "then"),
    [
        pytest.param(State.ONGOING, NOW - 999, None, id="a transaction in time"),
        pytest.param(State.ONGOING, NOW - 1000, State.COMPLETE_ABORT, id="a late one"),
        pytest.param(State.EMPTY, NOW - KEPT + 1, None, id="an id that was used lately"),
        pytest.param(State.EMPTY, NOW - KEPT, State.DEAD, id="one that nobody used since"),
    ],
)
async def test_what_is_due_is_done_by_itself(state: State, at: int, then: State | None) -> None:
    every = Transactions(lambda: NOW, kept=KEPT)
    one = transaction("one", state, at)
    every.know([one])
    done: list[Transaction] = []

    async def run(turn: Turn) -> None:
        round_ = Coordinator({"one": one}, NOW, mark=lambda _: None)
        turn(round_)
        done.extend(round_.changed.values())

    every.start(run)
    await settle(every)
    assert [changed.state for changed in done] == ([then] if then else [])


async def settle(every: Transactions) -> None:
    """Let it do what it began, and stop it."""
    if every._task is not None:
        await every._task
    every.stop()


async def test_a_failure_is_no_end(caplog: pytest.LogCaptureFixture) -> None:
    every = Transactions(lambda: NOW, kept=KEPT)
    every.know([transaction("one", State.ONGOING, 0)])
    tried: list[Turn] = []

    async def run(turn: Turn) -> None:
        tried.append(turn)
        raise OSError("no space")

    for _ in range(2):
        every.start(run)
        await settle(every)
    assert len(tried) == 2
    assert "no space" in caplog.text
