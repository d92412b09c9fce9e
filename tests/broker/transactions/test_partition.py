"""A partition as the event loop sees it: what is stable, and who is woken."""

import pytest

from bus.broker.partition import Partition, Waiter
from bus.broker.stage import Row


def row(base: int, next_: int) -> Row:
    """Return a committed row of 100 bytes."""
    return Row(0, base, next_, 0, [], 100, next_ - base, b"x" * 100)


@pytest.mark.parametrize(
    ("start", "opened", "stable"),
    [
        pytest.param(0, {}, 10, id="nothing is open"),
        pytest.param(0, {7: 4, 8: 2}, 2, id="the oldest counts"),
        pytest.param(5, {7: 4}, 5, id="not before the first offset that is kept"),
    ],
)
def test_what_is_stable(start: int, opened: dict[int, int], stable: int) -> None:
    partition = Partition(0, start, 10)
    partition.turn(opened)
    assert partition.stable == stable


@pytest.mark.parametrize(
    ("began", "ended", "left"),
    [
        pytest.param({8: 6}, False, {7: 4, 8: 6}, id="another one begins"),
        pytest.param({7: None}, True, {}, id="it ends"),
        pytest.param({8: None}, False, {7: 4}, id="one begins and ends in the same round"),
        pytest.param({7: 9}, True, {7: 9}, id="it ends and begins again in the same round"),
    ],
)
def test_turns(began: dict[int, int | None], ended: bool, left: dict[int, int]) -> None:
    partition = Partition(0, 0, 10)
    partition.turn({7: 4})
    assert partition.turn(began) is ended
    assert partition.opened == left


@pytest.mark.parametrize(
    ("opened", "base", "woken"),
    [
        pytest.param({}, 10, True, id="nothing is open"),
        pytest.param({7: 4}, 10, False, id="behind an open transaction"),
        pytest.param({7: 15}, 10, True, id="one begins within what came"),
    ],
)
def test_who_is_woken_by_what_comes(opened: dict[int, int], base: int, woken: bool) -> None:
    partition = Partition(0, 0, base)
    committed, other = Waiter(1, committed=True), Waiter(1)
    partition.waiters |= {committed, other}
    partition.turn(opened)
    partition.extend(row(base, base + 10))
    assert (committed.ready.is_set(), other.ready.is_set()) == (woken, True)


def test_who_is_woken_by_an_end() -> None:
    partition = Partition(0, 0, 10)
    committed, other = Waiter(1, committed=True), Waiter(1)
    partition.waiters |= {committed, other}
    partition.settle()
    assert (committed.ready.is_set(), other.ready.is_set()) == (True, False)
