"""The watch keeps its gauges true, whatever happens to what it reads."""

import asyncio

import pytest

from bus import watch as module
from bus.admin import Admin
from bus.errors import BusError
from bus.kafka import LogReader
from bus.settings import KafkaSettings
from bus.telemetry import Telemetry
from bus.watch import LagWatch


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
    rounds = iter(["measure", "fail"])
    measured_again = asyncio.Event()

    async def measure(watch: LagWatch, admin: Admin, reader: LogReader) -> None:
        match next(rounds, "again"):
            case "measure":
                telemetry.lag_records.labels("g", "t").set(7)
            case "fail":
                raise trouble
            case _:
                assert not next(iter(telemetry.lag_records.collect())).samples
                measured_again.set()

    monkeypatch.setattr(LagWatch, "measure", measure)
    watch = LagWatch(bare, telemetry)
    await watch.start()
    async with asyncio.timeout(10):
        await measured_again.wait()
    await watch.stop()
