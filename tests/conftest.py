"""What all tests stand on: real engines, on free ports, in directories of their own."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from bus.broker import Broker
from bus.settings import Address, BrokerSettings, KafkaSettings, variable
from bus.telemetry import Telemetry
from ops.kafka import missing
from ops.node import NodeProcess
from tests.clock import Clock
from tests.engine import ApacheSwitch, EmbeddedSwitch, Engine, Switch, apache_kafka, emptied
from tests.secured import SecuredBroker

HOUSEKEEPING = {
    "log.initial.task.delay.ms": "100",
    "log.retention.check.interval.ms": "200",
    "log.cleaner.backoff.ms": "100",
    "log.retention.ms": "-1",
}
"""Have Apache Kafka look for what to delete and to compact every moment, so that tests see it.

By age it deletes nothing unless a topic says so: tests write records of long ago.
"""


@pytest.fixture
def telemetry() -> Telemetry:
    """Metrics of this test alone."""
    return Telemetry()


@pytest.fixture
def clock() -> Clock:
    """A clock that this test moves."""
    return Clock()


@pytest.fixture
async def broker(tmp_path: Path, telemetry: Telemetry) -> AsyncIterator[Broker]:
    """A fresh embedded broker in this process, which can be made to fail on demand."""
    settings = BrokerSettings(listen=Address(host="127.0.0.1", port=0), retention_ms=-1)
    async with Broker(settings, tmp_path / "broker", telemetry) as started:
        yield started


@pytest.fixture
def fresh(broker: Broker) -> KafkaSettings:
    """How clients reach the fresh broker."""
    return KafkaSettings(bootstrap=str(broker.address))


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The embedded broker as a process of its own, for the whole session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(variable("broker.retention_ms"), HOUSEKEEPING["log.retention.ms"])
        node = NodeProcess(tmp_path_factory.mktemp("embedded"), "--roles", "broker")
        node.start()
    yield Engine(name="embedded", settings=KafkaSettings(bootstrap=node.ready["broker"]))
    node.stop()


@pytest.fixture(scope="session")
def apache() -> None:
    """Apache Kafka can run here; skips where it cannot, and fails in continuous integration."""
    if lacking := missing():
        refuse(str(lacking))


@pytest.fixture(scope="session")
def kafka(apache: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One Apache Kafka broker, for the whole session."""
    with apache_kafka(tmp_path_factory.mktemp("kafka"), configs=HOUSEKEEPING) as engine:
        yield engine


@pytest.fixture(scope="session")
def kafka3(apache: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Three Apache Kafka brokers that replicate, for the whole session."""
    with apache_kafka(tmp_path_factory.mktemp("kafka3"), brokers=3) as engine:
        yield engine


@pytest.fixture(scope="session")
def kafka_secure(apache: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One Apache Kafka broker with TLS, SCRAM and default deny, for the whole session."""
    with apache_kafka(tmp_path_factory.mktemp("kafka-secure"), secure=True) as engine:
        yield engine


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def denying(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An engine that denies everything: the embedded broker, and Apache Kafka."""
    if request.param == "kafka":
        yield request.getfixturevalue("kafka_secure")
        return
    with SecuredBroker(tmp_path) as broker:
        yield Engine(name="embedded", settings=broker.settings, secured=broker)


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def bare(request: pytest.FixtureRequest) -> Iterator[KafkaSettings]:
    """An engine without any topic or group: a fresh embedded broker, or Apache Kafka emptied."""
    if request.param == "embedded":
        yield request.getfixturevalue("fresh")
        return
    settings = request.getfixturevalue("kafka").settings
    emptied(settings)  # others leave topics behind
    yield settings
    emptied(settings)


@pytest.fixture
async def switch(
    request: pytest.FixtureRequest, bare: KafkaSettings, tmp_path: Path
) -> AsyncIterator[Switch]:
    """Turns the bare engine off and on again."""
    if request.node.callspec.params["bare"] == "kafka":
        switch: Switch = ApacheSwitch(request.getfixturevalue("kafka").cluster)
    else:
        switch = EmbeddedSwitch(request.getfixturevalue("broker"), tmp_path / "broker")
    yield switch
    await switch.close()


@pytest.fixture
def kcat() -> str:
    """The path of kcat; skips where it is missing, and fails there in continuous integration."""
    found = shutil.which("kcat")
    if found is None:
        refuse("kcat is missing: install Debian's package kcat")
    return found


def refuse(reason: str) -> NoReturn:
    """Skip this test, or fail it in continuous integration, where nothing may be missing."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
