"""Events per second from two surveys, and where lag is going."""

from collections.abc import Mapping

import pytest

from bus.watch.rates import Mark, Trend, rates, trend
from tests.watch.bus import behind, surveyed

Bounds = Mapping[int, tuple[int, int]]


@pytest.mark.parametrize(
    ("before", "after", "rate"),
    [
        pytest.param({0: (0, 10), 1: (0, 5)}, {0: (0, 30), 1: (0, 5)}, 2.0, id="more came"),
        pytest.param({0: (0, 10)}, {0: (8, 10)}, 0.0, id="what is deleted does not count"),
        pytest.param({0: (0, 10)}, {0: (0, 10), 1: (0, 9)}, 0.0, id="a new partition: not yet"),
        pytest.param({0: (0, 10)}, {0: (0, 4)}, None, id="the topic was made anew"),
        pytest.param(None, {0: (0, 4)}, None, id="the topic is new"),
    ],
)
def test_events_in(before: Bounds | None, after: Bounds, rate: float | None) -> None:
    found = rates(surveyed(100, {"t": before} if before else {}), surveyed(110, {"t": after}))
    assert found is not None
    assert found.published.get("t") == rate


@pytest.mark.parametrize(
    ("before", "after", "rate"),
    [
        pytest.param({0: 5, 1: 0}, {0: 15, 1: 10}, 2.0, id="positions moved"),
        pytest.param({0: 50}, {0: 0}, 0.0, id="set back: nothing was read by that"),
        pytest.param({0: 5}, {0: 5, 1: 70}, 0.0, id="the first position of a partition"),
    ],
)
def test_events_out(before: dict[int, int], after: dict[int, int], rate: float) -> None:
    first, second = (
        surveyed(at, {}, [behind("g", "t", positions=positions)])
        for at, positions in ((100, before), (110, after))
    )
    found = rates(first, second)
    assert found is not None
    assert found.consumed == {("g", "t"): rate}


def test_the_bus_is_the_sum_of_what_is_not_its_own() -> None:
    names = ("a.b.v1", "_stadtbus.canary", "dead.de.x.a.b.v1")
    before, after = (
        surveyed(
            at,
            {name: {0: (0, end)} for name in names},
            [behind(g, "t", positions={0: end}) for g in ("de.a.b", "_stadtbus.canary.x")],
        )
        for at, end in ((100, 0), (110, 50))
    )
    found = rates(before, after)
    assert found is not None
    assert (found.into, found.out) == (5.0, 5.0)


@pytest.mark.parametrize("before", [None, surveyed(100, {})])
def test_without_time_in_between_there_are_no_rates(before: object) -> None:
    assert rates(before, surveyed(100, {})) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lags", "going"),
    [
        pytest.param([5], None, id="seen once"),
        pytest.param([0, 0, 0, 0], "steady", id="nothing unread"),
        pytest.param([0, 0, 0, 7], "steady", id="a moment's backlog"),
        pytest.param([0, 0, 5, 7], "growing", id="it stopped"),
        pytest.param([1, 10, 100, 1000], "growing", id="ever more"),
        pytest.param([1000, 600, 300, 0], "shrinking", id="it catches up"),
        pytest.param([9, 1, 9, 1, 9, 1], "steady", id="it comes and goes"),
        pytest.param([9, 1, 9, 1, 9, 1, 9], "steady", id="whenever it is looked at"),
    ],
)
def test_where_lag_is_going(lags: list[int], going: Trend | None) -> None:
    history = [Mark(at=60.0 * at, records={("g", "t"): lag}) for at, lag in enumerate(lags)]
    assert trend(history, "g", "t") == going
    assert trend(history, "g", "another") is None
