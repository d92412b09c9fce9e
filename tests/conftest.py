"""What all tests stand on: a real broker on a free port, in a directory of its own."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bus.broker import Broker
from bus.settings import Address, BrokerSettings, KafkaSettings
from bus.telemetry import Telemetry


@pytest.fixture
def telemetry() -> Telemetry:
    """Metrics of this test alone."""
    return Telemetry()


@pytest.fixture
async def broker(tmp_path: Path, telemetry: Telemetry) -> AsyncIterator[Broker]:
    """A fresh embedded broker on a free port."""
    settings = BrokerSettings(listen=Address(host="127.0.0.1", port=0))
    async with Broker(settings, tmp_path / "broker", telemetry) as started:
        yield started


@pytest.fixture
def kafka(broker: Broker) -> KafkaSettings:
    """How clients reach the fresh broker."""
    return KafkaSettings(bootstrap=str(broker.address))


@pytest.fixture
def kcat() -> str:
    """The path of kcat; skips where it is missing, and fails there in continuous integration."""
    found = shutil.which("kcat")
    if found is None:
        refuse = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        refuse("kcat is missing: install Debian's package kcat")
    return found
