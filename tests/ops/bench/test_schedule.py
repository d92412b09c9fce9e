"""Latency counts from the time at which an event was meant to be sent."""

import pytest

from ops.bench.model import Unverified
from ops.bench.schedule import due, latencies

RATE, START, COUNT = 100.0, 50.0, 1000


@pytest.mark.parametrize(
    ("n", "at"),
    [
        pytest.param(0, 50.0, id="the first at the start"),
        pytest.param(1, 50.01, id="the second a step later"),
        pytest.param(1000, 60.0, id="no error adds up"),
    ],
)
def test_events_are_due_at_even_steps(n: int, at: float) -> None:
    assert due(START, RATE, n) == pytest.approx(at, abs=1e-9)


def arriving(after: float) -> dict[int, float]:
    return {n: due(START, RATE, n) + after for n in range(COUNT)}


def measured(arrivals: dict[int, float], warm: int = 0) -> dict[str, float]:
    return latencies(arrivals, start=START, rate=RATE, count=COUNT, warm=warm)


def test_even_arrivals_have_one_latency() -> None:
    assert measured(arriving(0.002)) == {
        "p50": pytest.approx(2),
        "p99": pytest.approx(2),
        "p99.9": pytest.approx(2),
    }


def test_a_stall_counts_for_every_event_that_had_to_wait() -> None:
    """A second's stall: the events due in it are all sent at its end, and each has waited."""
    arrivals = arriving(0.002)
    for n in range(500, 600):
        arrivals[n] = due(START, RATE, 600)
    found = measured(arrivals)
    assert found["p50"] == pytest.approx(2)
    assert found["p99"] == pytest.approx(900)
    assert found["p99.9"] == pytest.approx(990)


def test_what_warms_up_does_not_count() -> None:
    arrivals = arriving(0.002) | {0: START + 5}
    assert measured(arrivals)["p99.9"] == pytest.approx(2)
    assert measured(arrivals, warm=1)["p99.9"] == pytest.approx(2)
    assert measured({**arrivals, 1: START + 5})["p99.9"] > 4000
    assert measured({**arrivals, 1: START + 5}, warm=2)["p99.9"] == pytest.approx(2)


def test_an_event_that_does_not_arrive_leaves_no_figure() -> None:
    arrivals = arriving(0.002)
    del arrivals[7]
    with pytest.raises(Unverified, match="1 of 1000 events did not arrive, such as number 7"):
        measured(arrivals)


def test_an_event_before_its_time_leaves_no_figure() -> None:
    arrivals = arriving(0.002)
    arrivals[7] = due(START, RATE, 7) - 0.001
    with pytest.raises(Unverified, match="before it was meant to be sent"):
        measured(arrivals)
