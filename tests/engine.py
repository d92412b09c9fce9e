"""The engines that tests run on."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from bus.broker import Broker
from bus.settings import BrokerSettings, KafkaSettings
from bus.telemetry import Telemetry
from ops.kafka import Cluster, cluster
from tests.secured import SecuredBroker

on_embedded = pytest.mark.parametrize("bare", ["embedded"], indirect=True)
"""For tests that make the embedded broker itself go wrong, or look into it."""

AT_ONCE = 200
"""Topics that are deleted by one request."""

DEADLINE = 120.0
"""Seconds in which an engine has forgotten a test's topics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine that runs.

    Args:
        name: ``embedded`` or ``kafka``.
        settings: how to reach it, as an administrator.
        cluster: Apache Kafka's brokers; None for the embedded broker.
        secured: the embedded broker, where it is secured.
    """

    name: str
    settings: KafkaSettings
    cluster: Cluster | None = None
    secured: SecuredBroker | None = None

    @property
    def secure(self) -> Cluster | SecuredBroker:
        """What runs with TLS and login."""
        secure = self.secured or self.cluster
        assert secure is not None
        return secure


@contextmanager
def apache_kafka(
    data: Path,
    *,
    brokers: int = 1,
    secure: bool = False,
    configs: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Engine]:
    """Run Apache Kafka for tests that have loops of their own.

    Args:
        data: an empty folder.
        brokers, secure, configs: as `ops.kafka.cluster` takes them.
    """
    # A loop of its own: the cluster outlives the loops of the tests.
    with asyncio.Runner() as runner:
        starting = cluster(data, brokers=brokers, secure=secure, configs=configs)
        running = runner.run(starting.__aenter__())
        try:
            yield Engine(name="kafka", settings=running.settings, cluster=running)
        finally:
            runner.run(starting.__aexit__(None, None, None))


class Switch(Protocol):
    """Turns an engine off and on again, on the same addresses and data."""

    async def off(self) -> None:
        """End it; return once it has ended."""

    async def on(self) -> None:
        """Start it; return once it answers."""

    async def close(self) -> None:
        """Leave it as whoever owns it expects it."""


class EmbeddedSwitch:
    """Turns the embedded broker in this process off and on."""

    def __init__(self, broker: Broker, data: Path) -> None:
        self._broker, self._data, self._address = broker, data, broker.address

    async def off(self) -> None:
        await self._broker.stop()

    async def on(self) -> None:
        settings = BrokerSettings(listen=self._address, retention_ms=-1)
        self._broker = Broker(settings, self._data, Telemetry())
        await self._broker.start()

    async def close(self) -> None:
        await self._broker.stop()


class ApacheSwitch:
    """Turns Apache Kafka off and on; nobody is asked to stop in order."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def off(self) -> None:
        for broker in self._cluster.brokers:
            broker.kill()

    async def on(self) -> None:
        for broker in self._cluster.brokers:
            broker.start()
        await self._cluster.ready()

    async def close(self) -> None:
        if not all(broker.alive for broker in self._cluster.brokers):
            await self.on()


def emptied(settings: KafkaSettings) -> None:
    """Delete every group and topic but the engine's own; return once they are gone."""
    admin = AdminClient({"bootstrap.servers": settings.bootstrap})
    end = time.monotonic() + DEADLINE
    # A client that was killed stays a member, and its group not empty, until its session expires.
    while groups := [one.group_id for one in admin.list_consumer_groups().result(DEADLINE).valid]:
        _settled(admin.delete_consumer_groups(groups), KafkaError.NON_EMPTY_GROUP, end)
    while names := [one for one in admin.list_topics().topics if not one.startswith("__")]:
        some = names[:AT_ONCE]
        _settled(admin.delete_topics(some), KafkaError.UNKNOWN_TOPIC_OR_PART, end)


def _settled(deleted: Mapping[str, Future[Any]], tolerated: int, end: float) -> None:
    """Await deletions; those that are refused for this reason are tried again until the end."""
    for name, outcome in deleted.items():
        try:
            outcome.result(DEADLINE)
        except KafkaException as error:
            if error.args[0].code() != tolerated or time.monotonic() > end:
                raise AssertionError(f"{name} could not be deleted: {error}") from error
            time.sleep(0.05)
