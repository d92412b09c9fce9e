"""Measures every few seconds what only a reading of the bus can tell: lag and dead letters."""

import asyncio
import logging

from bus.admin import Admin
from bus.errors import BusError
from bus.kafka import LogReader
from bus.settings import KafkaSettings
from bus.subscriber.lag import lags
from bus.subscriber.waiting import dead_letters
from bus.telemetry import Telemetry

log = logging.getLogger(__name__)

INTERVAL = 5.0
"""Seconds between two readings: a third of the interval at which Prometheus usually asks."""


class LagWatch:
    """Keeps the gauges of lag and dead letters up to date, on either engine.

    Args:
        kafka: how to reach the engine.
        telemetry: whose gauges are set.
    """

    def __init__(self, kafka: KafkaSettings, telemetry: Telemetry) -> None:
        self._kafka, self._telemetry = kafka, telemetry
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to measure in the background."""
        self._watching = asyncio.create_task(self._watch(), name="lag watch")

    async def stop(self) -> None:
        """Stop measuring."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    async def _watch(self) -> None:
        while True:
            try:
                await self._measure_until_unavailable()
            except BusError as error:
                log.warning("lag cannot be measured just now: %s", error)
            except Exception:  # a watch that ends in silence is worse than one that fails aloud
                log.exception("lag cannot be measured: unexpected")
            self._forget()
            await asyncio.sleep(INTERVAL)

    def _forget(self) -> None:
        """Show no lag rather than one that is no longer true."""
        for gauge in (
            self._telemetry.lag_records,
            self._telemetry.lag_seconds,
            self._telemetry.dead_letters,
        ):
            gauge.clear()

    async def _measure_until_unavailable(self) -> None:
        reader = LogReader(self._kafka, client_id="stadtbus-lag")
        async with Admin(self._kafka) as admin, reader:
            while True:
                await self.measure(admin, reader)
                await asyncio.sleep(INTERVAL)

    async def measure(self, admin: Admin, reader: LogReader) -> None:
        """Read lag and dead letters once, and set the gauges.

        Raises:
            BusError: the engine cannot be read.
        """
        found, letters = await lags(admin, reader), await dead_letters(admin, reader)
        self._forget()
        for lag in found:
            self._telemetry.lag_records.labels(lag.group, lag.topic).set(lag.records)
            if lag.seconds is not None:
                self._telemetry.lag_seconds.labels(lag.group, lag.topic).set(lag.seconds)
        for topic, count in letters.items():
            self._telemetry.dead_letters.labels(topic).set(count)
