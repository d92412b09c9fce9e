"""How events are spread over time."""

import asyncio

import pytest

from producers.pacing import Pace, wait_until


@pytest.mark.parametrize(
    ("rate", "size", "interval"),
    [
        pytest.param(None, 500, 0.0, id="no rate: full batches, no pause"),
        pytest.param(0.5, 1, 2.0, id="one every two seconds"),
        pytest.param(20, 1, 0.05, id="twenty a second: one by one"),
        pytest.param(50, 1, 0.02, id="fifty a second: one by one"),
        pytest.param(200, 20, 0.1, id="two hundred a second: batches of a tenth of a second"),
        pytest.param(5000, 500, 0.1, id="five thousand a second"),
    ],
)
def test_pace(rate: float | None, size: int, interval: float) -> None:
    pace = Pace.of(rate)
    assert pace.size == size
    assert pace.interval == pytest.approx(interval)


@pytest.mark.parametrize("rate", [0.5, 1, 7, 50, 51, 333, 10_000])
def test_a_pace_keeps_its_rate(rate: float) -> None:
    pace = Pace.of(rate)
    assert pace.size * 1000 / pace.due(1000) == pytest.approx(rate)


async def test_stopping_ends_the_wait() -> None:
    stop = asyncio.Event()
    stop.set()
    await asyncio.wait_for(wait_until(stop, asyncio.get_running_loop().time() + 3600), 1)


async def test_a_moment_that_has_passed_is_not_waited_for() -> None:
    await asyncio.wait_for(wait_until(asyncio.Event(), 0.0), 1)
