"""What tests of the client library stand on: the fresh broker, a registry, and events to send."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bus.kafka import Fetched, LogReader
from bus.registry import Registry
from bus.settings import Address, KafkaSettings, RegistrySettings, Settings
from bus.telemetry import Telemetry

READINGS, ADDRESSES = "sensor.reading.v1", "address.building-changed.v1"
SYSTEM, GROUP = "de.mun.055150000000.zaehlstellen", "de.agency.statistik.test"


@dataclass(slots=True)
class City:
    """A registry in this process, with the shipped contracts in force on an engine."""

    registry: Registry
    settings: Settings


@pytest.fixture
async def city(bare: KafkaSettings, telemetry: Telemetry, tmp_path: Path) -> AsyncIterator[City]:
    """The bare engine with a registry beside it."""
    free = RegistrySettings(listen=Address(host="127.0.0.1", port=0))
    registry = Registry(Settings(kafka=bare, registry=free), telemetry)
    await registry.start()
    url = f"http://{registry.address}"
    settings = Settings(
        kafka=bare,
        registry=RegistrySettings(listen=registry.address, url=url),
        cache=tmp_path / "cache",
    )
    yield City(registry, settings)
    await registry.stop()


def reading(number: int = 0, series: str = "a") -> dict[str, Any]:
    """Return the data of a sensor.reading.v1."""
    return {
        "thing": "100034978",
        "datastream": series,
        "municipality": "055150000000",
        "observed_property": "bicycle-count",
        "phenomenon_time": datetime(2026, 7, 1, tzinfo=UTC),
        "interval_seconds": 900,
        "result": float(number),
        "unit": "1",
        "quality": "VALID",
    }


async def records(kafka: KafkaSettings, topic: str) -> list[Fetched]:
    """Return everything on a topic, partition by partition."""
    found: list[Fetched] = []
    async with LogReader(kafka) as reader:
        for partition, (first, end) in (await reader.bounds(topic)).items():
            offset = first
            while offset < end:
                read = await reader.read(topic, partition, offset)
                found += read
                offset = read[-1].offset + 1
    return found
