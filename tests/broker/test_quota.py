"""Quotas, budgets, pace and patience, each by itself and with a clock that is told the time."""

import asyncio

import pytest

from bus.broker.budget import Budget
from bus.broker.limits import FIRST_ANSWER, SMALLEST_ANSWER, Lane, Pace, Patience
from bus.broker.quota import FETCH, LONGEST_SECONDS, PRODUCE, REQUESTS, Quotas


def test_who_stays_below_the_rate_is_never_silenced() -> None:
    quotas = Quotas({REQUESTS: 10.0})
    assert [quotas.spend("User:a", REQUESTS, 1, now / 10) for now in range(1000)] == [0.0] * 1000


def test_who_goes_above_it_is_silenced_until_the_debt_is_paid() -> None:
    quotas = Quotas({PRODUCE: 1000.0})
    assert quotas.spend("User:a", PRODUCE, 1000, 0.0) == 0.0  # what one second may take at once
    assert quotas.spend("User:a", PRODUCE, 500, 0.0) == 0.5
    assert quotas.spend("User:a", PRODUCE, 0, 0.25) == 0.25
    assert quotas.spend("User:a", PRODUCE, 0, 0.5) == 0.0


def test_over_time_nobody_gets_more_than_the_rate() -> None:
    quotas, now, taken = Quotas({PRODUCE: 1000.0}), 0.0, 0
    while now < 100.0:
        now += quotas.spend("User:a", PRODUCE, 300, now) or 0.001
        taken += 300
    assert taken <= 1000 * (100 + 1) + 300


@pytest.mark.parametrize(
    ("principal", "kind", "silence"),
    [
        pytest.param("User:a", PRODUCE, 4.0, id="the same one"),
        pytest.param("User:b", PRODUCE, 0.0, id="another principal"),
        pytest.param("User:a", FETCH, 0.0, id="another kind"),
        pytest.param("User:a", REQUESTS, 0.0, id="a kind without a limit"),
        pytest.param("User:root", PRODUCE, 0.0, id="a super user"),
    ],
)
def test_a_quota_is_a_principals_own(principal: str, kind: str, silence: float) -> None:
    quotas = Quotas({PRODUCE: 1000.0, FETCH: 1000.0}, frozenset({"User:root"}))
    quotas.spend("User:a", PRODUCE, 5000, 0.0)
    assert quotas.spend(principal, kind, 0, 0.0) == silence


def test_one_silence_has_an_end() -> None:
    quotas = Quotas({PRODUCE: 1.0})
    assert quotas.spend("User:a", PRODUCE, 10**9, 0.0) == LONGEST_SECONDS
    assert quotas.spend("User:a", PRODUCE, 1, LONGEST_SECONDS) == LONGEST_SECONDS


def test_who_has_not_come_for_a_while_is_forgotten() -> None:
    quotas = Quotas({PRODUCE: 1000.0})
    quotas.spend("User:a", PRODUCE, 2000, 0.0)
    quotas.forget(1.0)
    assert quotas.spend("User:a", PRODUCE, 0, 1.0) == 0.0
    assert len(quotas._buckets) == 1
    quotas.forget(3.0)
    assert quotas._buckets == {}


async def test_a_budget_is_given_out_in_the_order_of_asking() -> None:
    budget, order = Budget(10), []

    async def take(name: str, size: int) -> None:
        await budget.take(size)
        order.append(name)

    assert budget.try_take(8)
    large = asyncio.create_task(take("large", 6))
    await asyncio.sleep(0)
    small = asyncio.create_task(take("small", 1))
    await asyncio.sleep(0)
    assert not budget.try_take(1)  # nobody goes before those who wait
    assert order == []
    budget.give(8)
    await asyncio.gather(large, small)
    assert (order, budget.held) == (["large", "small"], 7)


async def test_more_than_all_of_a_budget_is_given_to_one_alone() -> None:
    budget = Budget(10)
    await budget.take(50)
    waiting = asyncio.create_task(budget.take(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    budget.give(50)
    await waiting
    assert budget.held == 1


@pytest.mark.parametrize("late", [False, True])
async def test_who_gives_up_waiting_takes_nothing(late: bool) -> None:
    budget = Budget(10)
    assert budget.try_take(10)
    first = asyncio.create_task(budget.take(10))
    second = asyncio.create_task(budget.take(5))
    await asyncio.sleep(0)
    if late:
        budget.give(10)  # it is the first one's already, which does not know yet
    first.cancel()
    if not late:
        budget.give(10)
    await asyncio.wait({first, second})
    assert (first.cancelled(), budget.held) == (True, 5)


async def test_a_lane_has_places_and_bytes() -> None:
    lane = Lane(2, 100)
    assert lane.try_take(60)
    assert not lane.try_take(60)
    assert lane.try_take(40)
    assert not lane.try_take(0)  # two are under way
    waiting = asyncio.create_task(lane.take(60))
    await asyncio.sleep(0)
    lane.give(40)
    await asyncio.sleep(0)
    assert not waiting.done()
    lane.give(60)
    await waiting


def test_quick_readers_get_ever_more_and_slow_ones_what_they_take_in_a_second() -> None:
    pace = Pace(4 * 2**20)
    rooms = []
    for _ in range(6):
        rooms.append(pace.room)
        pace.took(pace.room, 0.1)
    assert rooms == [FIRST_ANSWER * 2**n for n in range(5)] + [4 * 2**20]
    pace.took(4 * 2**20, 8.0)
    assert pace.room == 2**19
    pace.took(2**19, 1000.0)
    assert pace.room == SMALLEST_ANSWER
    pace.took(100, 0.1)
    assert pace.room == SMALLEST_ANSWER  # a small answer shows nothing


def test_a_connection_is_idle_only_if_nothing_is_asked() -> None:
    patience = Patience(600.0, 30.0, 0.0)
    assert patience.over(600.0, 0, busy=False) == ""
    assert patience.over(601.0, 0, busy=False) == "idle"
    patience.arrived(601.0)
    assert patience.over(1200.0, 0, busy=True) == ""  # a long poll
    assert patience.over(1800.0, 0, busy=False) == ""
    assert patience.over(1801.0, 0, busy=False) == "idle"


def test_a_client_that_takes_nothing_is_given_up_and_a_slow_one_is_not() -> None:
    patience = Patience(600.0, 30.0, 0.0)
    assert [patience.over(now, 10**6 - now, busy=True) for now in range(900)] == [""] * 900
    assert patience.over(929.0, 10**6 - 899, busy=True) == ""
    assert patience.over(929.1, 10**6 - 899, busy=True) == "unread"


def test_a_request_that_has_begun_must_come() -> None:
    patience = Patience(600.0, 30.0, 0.0)
    patience.expect(2**20, 0.0)
    patience.came(20.0)
    assert patience.over(33.9, 0, busy=False) == ""
    assert patience.over(34.1, 0, busy=False) == "slow"
    patience.arrived(34.2)
    assert patience.over(100.0, 0, busy=False) == ""


def test_of_a_large_request_something_must_come_all_the_time() -> None:
    patience = Patience(600.0, 30.0, 0.0)
    patience.expect(100 * 2**20, 0.0)
    assert patience.over(29.9, 0, busy=False) == ""
    assert patience.over(30.1, 0, busy=False) == "slow"
    patience.came(25.0)
    assert patience.over(54.9, 0, busy=False) == ""
    assert patience.over(55.1, 0, busy=False) == "slow"
