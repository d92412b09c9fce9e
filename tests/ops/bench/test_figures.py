"""Percentiles, medians and ratios."""

import pytest

from ops.bench.figures import Outcome, Row, Series, percentile
from ops.bench.model import Measure

THOUSAND = [float(n) for n in range(1, 1001)]


@pytest.mark.parametrize(
    ("ordered", "percent", "value"),
    [
        pytest.param([7.0], 50, 7.0, id="one value is every percentile: the median"),
        pytest.param([7.0], 99.9, 7.0, id="one value is every percentile: p99.9"),
        pytest.param([1.0, 2.0], 50, 1.0, id="half of two is the lower one, none in between"),
        pytest.param([1.0, 2.0, 3.0], 50, 2.0, id="the middle of three"),
        pytest.param(THOUSAND, 50, 500.0, id="p50 of a thousand"),
        pytest.param(THOUSAND, 99, 990.0, id="p99 of a thousand"),
        pytest.param(THOUSAND, 99.9, 999.0, id="p99.9 of a thousand leaves one above"),
        pytest.param(THOUSAND, 100, 1000.0, id="p100 is the largest"),
        pytest.param(THOUSAND[:100], 99.9, 100.0, id="p99.9 of a hundred is the largest"),
    ],
)
def test_a_percentile_is_a_value_that_occurred(
    ordered: list[float], percent: float, value: float
) -> None:
    assert percentile(ordered, percent) == value


@pytest.mark.parametrize(
    ("ordered", "percent"),
    [
        pytest.param([], 50, id="of nothing"),
        pytest.param([1.0], 0, id="the 0th"),
        pytest.param([1.0], 100.1, id="above 100"),
    ],
)
def test_there_is_no_such_percentile(ordered: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="percentile of"):
        percentile(ordered, percent)


def series(name: str, *runs: float) -> Series:
    return Series(contender=name, title=name.title(), runs=runs)


def row(ours: Series, *peers: Series) -> Row:
    measure = Measure(name="throughput", unit="events/s", better="more")
    return Row(case="one", measure=measure, series=(ours, *peers))


@pytest.mark.parametrize(
    ("ours", "peers", "ratio"),
    [
        pytest.param((100, 200, 300), (100, 100, 100), 2.0, id="of medians, not of means"),
        pytest.param((1, 200, 200), (50, 50, 5000), 4.0, id="one odd round does not move it"),
        pytest.param((10, 20), (30, 30), 0.5, id="of two rounds the mean is the median"),
        pytest.param((1,), (0,), float("inf"), id="beside nothing"),
    ],
)
def test_the_ratio_is_ours_by_the_peers(
    ours: tuple[float, ...], peers: tuple[float, ...], ratio: float
) -> None:
    peer = series("peer", *peers)
    assert row(series("ours", *ours), peer).ratio(peer) == ratio


def test_an_outcome_survives_its_json() -> None:
    outcome = Outcome(
        scenario="consume",
        engine="kafka",
        date="2026-11-21",
        count=7,
        seconds=1.5,
        rows=(row(series("ours", 1.0, 2.0), series("peer", 3.0, 4.0)),),
    )
    assert Outcome.from_json(outcome.to_json()) == outcome


def test_json_has_each_peers_ratio_beside_all_readings() -> None:
    outcome = Outcome(
        scenario="consume",
        engine="kafka",
        date="2026-11-21",
        rows=(row(series("ours", 3.0), series("a", 2.0), series("b", 6.0)),),
    )
    (found,) = outcome.to_json()["rows"]
    assert [(one["contender"], one["runs"], one.get("ratio")) for one in found["series"]] == [
        ("ours", [3.0], None),
        ("a", [2.0], 1.5),
        ("b", [6.0], 0.5),
    ]
