"""The Faust application: its table of windows, and what it is told."""

import ssl
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import faust
from faust.types import FutureMessage

from bus.errors import BusUnavailable
from bus.event import Event, partition_of
from bus.kafka import Fetched
from bus.probe import tls
from bus.settings import KafkaSettings
from bus.views.traffic import TOPIC
from consumers.traffic_view.rules import KEPT, QUARTER, Key, Value, expired, taken

SESSION = 10.0
"""Seconds after which a member that is silent has lost its partitions, as for our subscribers."""

CLEANING = 30.0
"""Seconds between two looks for windows that have had their time."""


class Observation(faust.Record, serializer="json"):
    """What the table's windows are relative to."""

    observed_at: datetime


class EventTimeTable(faust.Table[Key, Value]):
    """A table of windows that have their time by the clock of events.

    Faust's own (0.15.3) drops windows by the clock on the wall, at once where old data is replayed,
    and only from memory: after a restart they are back. It wants a stream's current event for
    every write, and does not tell whether a write succeeded.
    """

    sent: FutureMessage | None = None
    """The last write on its way to the changelog."""

    def partition_for_key(self, key: Key) -> int:
        """Return the changelog's partition: the one that the contract gives the event's key."""
        return partition_of(key[0], self.partitions)

    def send_changelog(self, *args: Any, **options: Any) -> FutureMessage:
        """Send a change, and keep what tells of its outcome."""
        self.sent = super().send_changelog(*args, **options)
        return self.sent

    async def _del_old_keys(self) -> None:
        for key in expired(self.data.items()):
            del self[key]

    def _maybe_set_key_ttl(self, key: Key, partition: int) -> None:
        """Keep no second account of when windows end: `expired` needs none."""

    def _maybe_del_key_ttl(self, key: Key, partition: int) -> None:
        """Keep no second account of when windows end."""

    def _changelog_topic_name(self) -> str:
        return TOPIC


class LoadTable:
    """The windows of an application.

    Args:
        app: the application.
        partitions: of the topic, its changelog and the contract.
    """

    def __init__(self, app: faust.App, partitions: int) -> None:
        self._app = app
        self.table = EventTimeTable(
            app, name="load", partitions=partitions, key_type=None, value_type=None
        )
        app.tables.add(self.table)
        self._quarters = faust.TumblingWindow(QUARTER, expires=KEPT)
        self._windows = self.table.using_window(self._quarters).relative_to_field(
            Observation.observed_at  # type: ignore[arg-type]  # of the class, a field's descriptor
        )

    def end_of(self, event: Event) -> float:
        """Return when the window of an event ends, in seconds since 1970."""
        return float(self._range(event)[0]) + QUARTER

    async def put(self, event: Event, place: tuple[int, int]) -> None:
        """Take an observation in; return once the changelog has it durably.

        Args:
            event: the observation.
            place: the partition and offset of its record.

        Raises:
            BadEvent: its window is full.
            BusUnavailable: it could not be written; to be taken in again.
        """
        data = event.data or {}
        window = self._windows[event.key]
        code = data["load_code"] if data["valid"] else None
        span = self._range(event)
        before = self.table.data.get((event.key, span))
        window[span] = taken(before, data["observed_at"], code, place)
        await self.settled()

    async def settled(self) -> None:
        """Return once the last change is durable.

        Raises:
            BusUnavailable: it could not be written.
        """
        if self.table.sent is None:
            return
        try:
            await self.table.sent
        except Exception as error:  # of a client that is Faust's, not ours
            raise BusUnavailable(
                f"a change could not be written: {error!r}", where=TOPIC
            ) from error

    def items(self) -> Iterable[tuple[Key, Value]]:
        """Return what the table holds."""
        found: Iterable[tuple[Key, Value]] = self.table.data.items()
        return found

    def keep_only(self, partitions: set[int]) -> None:
        """Forget what belongs to partitions of other members; Faust keeps what it wrote itself."""
        for key in [key for key, value in self.items() if value["place"][0] not in partitions]:
            self.table.data.pop(key, None)

    def _range(self, event: Event) -> tuple[float, float]:
        """Return the window of an event, which the table's field of its data tells."""
        data = event.data or {}
        seen = Observation(observed_at=data["observed_at"])
        message: Any = None  # nobody asks for it: the field tells the time
        at = self._windows.get_timestamp(faust.Event(self._app, event.key, seen, None, message))
        found: tuple[float, float] = self._quarters.current(at)
        return found


def application(group: str, kafka: KafkaSettings, partitions: int, folder: str) -> faust.App:
    """Return the application, without agents.

    Args:
        group: the consumer group.
        kafka: how to reach the engine.
        partitions: of the topic that it reads.
        folder: an empty folder; Faust wants one and keeps nothing there.
    """
    return faust.App(
        group,
        broker=[f"kafka://{address}" for address in kafka.bootstrap.split(",")],
        broker_credentials=credentials(kafka),
        broker_session_timeout=SESSION,
        broker_heartbeat_interval=SESSION / 5,
        datadir=folder,
        store="memory://",
        table_cleanup_interval=CLEANING,
        # Topics are made beforehand, with the partitions and configuration that they need.
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=partitions,
        # Its web server shows tables to whoever asks.
        web_enabled=False,
        autodiscover=False,
    )


def credentials(kafka: KafkaSettings) -> faust.SASLCredentials | faust.SSLCredentials | None:
    """Return how Faust logs in.

    Raises:
        InvalidSettings: a file cannot be read, or a login has no user or password.
    """
    encrypted = kafka.security_protocol.endswith("SSL")
    context: ssl.SSLContext | None = tls(kafka) if encrypted else None
    if kafka.security_protocol.startswith("SASL"):
        user, password = kafka.login()
        return faust.SASLCredentials(
            username=user, password=password, mechanism=kafka.sasl_mechanism, ssl_context=context
        )
    return faust.SSLCredentials(context) if context else None


def fetched(message: Any) -> Fetched:
    """Return a record of Faust's as one of ours."""
    return Fetched(
        message.topic,
        message.partition,
        message.offset,
        int(message.timestamp * 1000),
        message.key,
        message.value,
        message.headers or (),
    )
