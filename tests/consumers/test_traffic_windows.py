"""Faust's table as it is used here: windows that have their time by the clock of events."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bus.admin import Admin
from bus.broker import Broker
from bus.event import partition_of
from bus.kafka import LogReader
from bus.publisher import Publisher
from bus.views.traffic import ViewReader
from consumers.progress import Progress
from consumers.traffic_view import application, intake
from consumers.traffic_view.__main__ import GROUP, app
from consumers.traffic_view.view import keep_view
from producers.traffic.announcement import TOPIC, draft
from producers.traffic.observation import Observation
from tests.broker.raw import Raw
from tests.engine import on_embedded
from tests.kafka.batches import record, sealed
from tests.running import Bus, ended
from tests.waiting import until

ARS, SYSTEM = "053150000000", "de.mun.053150000000.verkehrslage"
NOON = datetime(2014, 1, 15, 12, tzinfo=UTC)


@asynccontextmanager
async def kept(bus: Bus) -> AsyncIterator[asyncio.Task[None]]:
    """Keep the view in this process, and end it in order with the block unless it ended before."""
    stop = asyncio.Event()
    running = asyncio.create_task(keep_view(bus.settings, stop, Progress(GROUP, json=False)))
    try:
        yield running
    finally:
        stop.set()
        await asyncio.wait([running])


async def observe(bus: Bus, *ats: datetime) -> None:
    async with Publisher(SYSTEM, bus.settings) as publisher:
        drafts = [draft(ARS, SYSTEM, Observation(at, "ST022", 0, True)) for at in ats]
        await publisher.publish_many(TOPIC, drafts)


@pytest.mark.slow
@on_embedded
async def test_a_window_is_dropped_a_day_after_by_the_clock_of_events(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "CLEANING", 0.1)
    hours = [0, 23, 25]
    await observe(bus, *(NOON + timedelta(hours=hour) for hour in hours))
    async with ViewReader(bus.settings.kafka) as reader:

        async def shows(*wanted: int) -> bool:
            await reader.refresh()
            starts = {window.start for window in reader.windows}
            return starts == {NOON + timedelta(hours=hour) for hour in wanted}

        async with kept(bus):
            await until(lambda: shows(23, 25))
        async with kept(bus):
            await observe(bus, NOON + timedelta(hours=48))
            await until(lambda: shows(25, 48))


@pytest.mark.slow
@on_embedded
async def test_what_fausts_client_cannot_read_stops_nobody(bus: Bus, broker: Broker) -> None:
    """A header whose name is no UTF-8: any publisher can write one."""
    odd = sealed(record(0, header=b"\xff"), 1)
    place = partition_of(f"{ARS}:ST022", 3)
    async with await Raw.to(broker) as raw, ViewReader(bus.settings.kafka) as reader:

        async def spoil() -> None:
            for partition in range(3):
                assert (await raw.produce(TOPIC, odd, partition=partition)).error_code == 0

        async def shows(count: int) -> bool:
            await reader.refresh()
            return sum(len(window.codes) for window in reader.windows) == count

        async def all_is_committed() -> bool:
            async with LogReader(bus.settings.kafka) as log, Admin(bus.settings.kafka) as admin:
                _, end = (await log.bounds(TOPIC))[place]
                return (await admin.group_offsets(GROUP)).get((TOPIC, place)) == end

        await spoil()
        await observe(bus, NOON)
        async with kept(bus):
            await until(lambda: shows(1))
            await spoil()
            await observe(bus, NOON + timedelta(minutes=5))
            await until(lambda: shows(2))
            await until(all_is_committed)
        await spoil()
        async with kept(bus):
            await observe(bus, NOON + timedelta(minutes=10))
            await until(lambda: shows(3))
            await until(all_is_committed)


@pytest.mark.slow
@on_embedded
async def test_it_outlives_the_engine(bus: Bus) -> None:
    async with ViewReader(bus.settings.kafka) as reader, kept(bus) as running:

        async def shows(count: int) -> bool:
            assert not running.done()
            await reader.refresh()
            return sum(len(window.codes) for window in reader.windows) == count

        await observe(bus, NOON)
        await until(lambda: shows(1))
        await bus.stop()
        await bus.start()
        await observe(bus, NOON + timedelta(minutes=5))
        await until(lambda: shows(2), 60.0)


@pytest.mark.slow
@on_embedded
async def test_a_fault_of_its_own_ends_it(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faust would log it, and go on with the next event."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(intake, "check", broken)
    async with kept(bus) as running:
        await observe(bus, NOON)
        with pytest.raises(ZeroDivisionError, match="a fault"):
            await running


def test_without_faust_it_says_what_to_install(
    nowhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("consumers.traffic_view.view", "consumers.traffic_view.application"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "faust", None)
    assert ended(app, []) == 2
    assert "pip install 'stadtbus[views]'" in capsys.readouterr().err
