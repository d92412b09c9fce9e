"""The engines that tests run on."""

import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from bus.settings import KafkaSettings
from ops.kafka import Cluster

DEADLINE = 30.0
"""Seconds in which an engine has forgotten a test's topics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine that runs.

    Args:
        name: ``embedded`` or ``kafka``.
        settings: how to reach it, as an administrator.
        cluster: Apache Kafka's brokers; None for the embedded broker.
    """

    name: str
    settings: KafkaSettings
    cluster: Cluster | None = None


def emptied(settings: KafkaSettings) -> None:
    """Delete every group and topic but the engine's own; return once they are gone."""
    admin = AdminClient({"bootstrap.servers": settings.bootstrap})
    end = time.monotonic() + DEADLINE
    # A client that was killed stays a member, and its group not empty, until its session expires.
    while groups := [one.group_id for one in admin.list_consumer_groups().result(DEADLINE).valid]:
        _settled(admin.delete_consumer_groups(groups), KafkaError.NON_EMPTY_GROUP, end)
    while names := [one for one in admin.list_topics().topics if not one.startswith("__")]:
        _settled(admin.delete_topics(names), KafkaError.UNKNOWN_TOPIC_OR_PART, end)


def _settled(deleted: Mapping[str, Future[Any]], tolerated: int, end: float) -> None:
    """Await deletions; those that are refused for this reason are tried again until the end."""
    for name, outcome in deleted.items():
        try:
            outcome.result(DEADLINE)
        except KafkaException as error:
            if error.args[0].code() != tolerated or time.monotonic() > end:
                raise AssertionError(f"{name} could not be deleted: {error}") from error
            time.sleep(0.05)
