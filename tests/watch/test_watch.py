"""The watch keeps what it shows true, whatever happens to what it reads."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bus.errors import BusError
from bus.settings import KafkaSettings
from bus.telemetry import Telemetry
from bus.watch import watch as module
from bus.watch.survey import Survey
from bus.watch.surveyor import Surveyor
from bus.watch.watch import APART, MARKS, MOST, Watch
from tests.waiting import until
from tests.watch.bus import behind, surveyed

NOWHERE = KafkaSettings(bootstrap="127.0.0.1:1")


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(ZeroDivisionError("a fault of our own"), id="what nobody foresaw"),
        pytest.param(BusError("the engine is away"), id="an engine that is away"),
    ],
)
async def test_it_goes_on_and_shows_nothing_that_is_no_longer_true(
    bare: KafkaSettings,
    telemetry: Telemetry,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Exception,
) -> None:
    monkeypatch.setattr(module, "INTERVAL", 0.01)
    found: Iterator[Survey | Exception] = iter(
        [surveyed(1.0, {"t": {0: (0, 7)}}, [behind(records=7)]), trouble]
    )
    away, back = asyncio.Event(), asyncio.Event()

    async def survey(surveyor: Surveyor, groups: object = None) -> Survey:
        match next(found, None):
            case Survey() as one:
                return one
            case None:
                away.set()
                await back.wait()
                return surveyed(2.0, {"t": {0: (0, 8)}}, [behind(records=8)])
            case error:
                raise error

    monkeypatch.setattr(Surveyor, "survey", survey)
    watch = Watch(bare, telemetry)
    await watch.start()
    await until(lambda: watch.latest is not None)
    assert watch.latest is not None
    assert watch.latest.at == 1.0
    await until(away.is_set)
    assert not telemetry.lag_records.values
    assert watch.trouble is not None
    assert telemetry.registry.get_sample_value("stadtbus_survey_failures_total") == 1
    back.set()
    await until(lambda: watch.trouble is None)
    assert telemetry.lag_records.values == {("de.a.b", "t"): 8}
    await watch.stop()


async def test_it_keeps_what_trends_need_and_no_more(telemetry: Telemetry) -> None:
    watch = Watch(NOWHERE, telemetry)
    assert watch.rates is None
    for number in range(100):
        at = 1000 + number * APART / 4
        bounds = {0: (0, 10 * number)}
        await watch.take(surveyed(at, {"t": bounds}, [behind(records=number)]))
    assert len(watch.history) == MARKS
    assert watch.history[-1].at - watch.history[0].at == APART * (MARKS - 1)
    assert watch.previous is not None
    assert watch.latest is not None
    assert watch.latest.at - watch.previous.at == APART / 4
    assert watch.rates is not None
    assert watch.rates.published == {"t": 10 / (APART / 4)}


@pytest.mark.parametrize(
    ("took", "apart"),
    [
        pytest.param(0.01, 2.0, id="a small bus"),
        pytest.param(0.5, 4.5, id="a tenth of the time is spent on surveys"),
        pytest.param(30.0, MOST, id="a slow survey, and soon another one all the same"),
    ],
)
async def test_where_a_survey_takes_long_they_are_further_apart(
    bare: KafkaSettings,
    telemetry: Telemetry,
    monkeypatch: pytest.MonkeyPatch,
    took: float,
    apart: float,
) -> None:
    slept: list[float] = []
    go = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await go.wait()

    async def survey(surveyor: Surveyor, groups: object = None) -> Survey:
        return replace(surveyed(1.0, {}, []), took=took)

    monkeypatch.setattr(Surveyor, "survey", survey)
    monkeypatch.setattr(module, "INTERVAL", 2.0)
    watch = Watch(bare, telemetry)
    monkeypatch.setattr(module, "sleep", sleep)
    await watch.start()
    await until(lambda: bool(slept))
    await watch.stop()
    assert slept == [apart]
