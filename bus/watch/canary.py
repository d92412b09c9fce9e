"""The canary: one event a second through the whole path, measured from publishing to the handler.

It takes the way that events take: an idempotent producer that asks for every acknowledgement, the
log, a consumer group that commits. Its topic and group are the bus's own. Each node sends its own
and has a group of its own, so that each hears all and measures what it sent itself.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from uuid import uuid4

from bus.admin import Admin, TopicSpec
from bus.errors import BusError, BusUnavailable
from bus.kafka import Fetched, GroupConsumer, LogReader, Place, Producer, Record
from bus.settings import KafkaSettings
from bus.telemetry import Telemetry

log = logging.getLogger(__name__)

TOPIC = "_stadtbus.canary"
EVERY = 1.0
"""Seconds between two events."""

LATE = 5.0
"""Seconds after which an event counts as late."""

LOST = 60.0
"""Seconds after which an event counts as lost."""

AGAIN = 10.0
"""Seconds until a bus that cannot be reached is tried again."""

COMMITTED = 10.0
"""Seconds between two commits: often enough to be tried, seldom enough to cost nothing."""

SPEC = TopicSpec(
    name=TOPIC,
    partitions=1,
    configs={
        "cleanup.policy": "delete",
        "retention.ms": str(3_600_000),
        "message.timestamp.type": "LogAppendTime",
    },
)


@dataclass(slots=True)
class _Bird:
    """An event under way: when it was sent, and whether the engine has it for certain."""

    sent: float
    acknowledged: bool = False


class Flock:
    """The canary events of one process that are under way; at most as many as `LOST` lets live.

    What the engine did not acknowledge may arrive all the same. If it does not, nothing is lost.

    Args:
        telemetry: counts them.
        clock: returns seconds.
    """

    def __init__(self, telemetry: Telemetry, clock: Callable[[], float] = time.monotonic) -> None:
        self._telemetry, self._clock = telemetry, clock
        self._name = uuid4().hex.encode()
        self._flying: dict[bytes, _Bird] = {}
        self._number = 0
        self._heard: float | None = None

    def __len__(self) -> int:
        return len(self._flying)

    @property
    def silence(self) -> float | None:
        """Seconds since an event came back, or since the first was sent; None: none was sent."""
        return None if self._heard is None else self._clock() - self._heard

    def send(self) -> Record:
        """Return the next event; its time counts from now."""
        self._number += 1
        if self._heard is None:
            self._heard = self._clock()
        value = b"%d" % self._number
        self._flying[value] = _Bird(self._clock())
        return Record(self._name, value)

    def acknowledged(self, record: Record) -> None:
        """Count an event that the engine has taken; it may have arrived already."""
        self._telemetry.canary_sent.inc()
        if record.value is not None and (bird := self._flying.get(record.value)) is not None:
            bird.acknowledged = True

    def unacknowledged(self) -> None:
        """Count an event of which the engine did not say in time that it has it."""
        self._telemetry.canary_unacknowledged.inc()

    def arrive(self, record: Fetched) -> None:
        """Count an event that has reached the handler, if it is one of ours that is under way."""
        if record.key != self._name or record.value is None:
            return
        bird = self._flying.pop(record.value, None)
        if bird is not None:
            self._heard = self._clock()
            took = self._heard - bird.sent
            self._telemetry.canary_roundtrip.observe(took)
            if took > LATE:
                self._telemetry.canary_late.inc()

    def expire(self) -> None:
        """Count those as lost that the engine took, and that should have come long ago."""
        now = self._clock()
        for value in [value for value, bird in self._flying.items() if now - bird.sent > LOST]:
            if self._flying.pop(value).acknowledged:
                self._telemetry.canary_lost.inc()


class Canary:
    """Sends one event a second and waits for it.

    A bus that is down is waited for: each reason is logged once, and the canary goes on by itself.

    Args:
        kafka: how to reach the engine.
        telemetry: counts what was sent, not acknowledged, late or lost, and measures the rest.
        group: the consumer group that the handler is a member of, another one for each node.
    """

    def __init__(self, kafka: KafkaSettings, telemetry: Telemetry, *, group: str) -> None:
        self._kafka, self._group = kafka, group
        self._flock = Flock(telemetry)
        self._position: int | None = None
        self._listening = asyncio.Event()
        self._told: set[str] = set()
        self._running: asyncio.Task[None] | None = None

    @property
    def silence(self) -> float | None:
        """Seconds since an event came back, or since the first was sent; None: none was sent."""
        return self._flock.silence

    async def start(self) -> None:
        """Begin in the background."""
        self._running = asyncio.create_task(self._run(), name="canary")

    async def stop(self) -> None:
        """Send no more, and leave the group."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def positions(self, places: frozenset[Place]) -> Mapping[Place, int]:
        """Return where to listen: where it was, or from the end that it found at the start."""
        return dict.fromkeys(places, self._position or 0)

    def begin(self, place: Place, position: int) -> None:
        """Begin to send: what is sent now will be heard."""
        self._listening.set()

    async def revoked(self, places: frozenset[Place]) -> None:
        """Send no more until somebody listens again."""
        self._listening.clear()

    async def _run(self) -> None:
        while True:
            try:
                await self._session()
            except BusError as error:
                self._tell(error)
            except Exception:  # a canary that falls silent for good would be no canary
                log.exception("the canary stopped: unexpected")
            self._listening.clear()
            self._flock.expire()
            await asyncio.sleep(AGAIN)

    async def _session(self) -> None:
        async with Admin(self._kafka) as admin:
            await admin.ensure_topic(SPEC)
        async with LogReader(self._kafka, client_id=self._group) as reader:
            first, end = (await reader.bounds(TOPIC))[0]
        self._position = end if self._position is None else max(first, min(self._position, end))
        consumer = GroupConsumer(self._kafka, self._group, [TOPIC], self, client_id=self._group)
        async with Producer(self._kafka, client_id=self._group) as producer:
            await consumer.start()
            try:
                await self._both(self._send(producer), self._listen(consumer))
            finally:
                await consumer.stop()

    async def _both(self, *parts: Coroutine[None, None, None]) -> None:
        """Run both parts until one of them fails."""
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, producer: Producer) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await self._listening.wait()
            began = clock()
            bird = self._flock.send()
            try:
                await producer.append(TOPIC, 0, [bird], timeout=LATE)
                self._flock.acknowledged(bird)
            except BusError as error:
                self._flock.unacknowledged()
                if not isinstance(error, BusUnavailable):
                    raise
                self._tell(error)
            self._flock.expire()
            await asyncio.sleep(max(EVERY - (clock() - began), 0))

    async def _listen(self, consumer: GroupConsumer) -> None:
        clock = asyncio.get_running_loop().time
        committed, commit_at = self._position, 0.0
        while True:
            try:
                found = await consumer.poll(EVERY)
                for record in (one for records in found.values() for one in records):
                    self._flock.arrive(record)
                    self._told.clear()
                    self._position = record.offset + 1
                if self._position != committed and clock() >= commit_at:
                    await consumer.commit({(TOPIC, 0): self._position or 0})
                    committed, commit_at = self._position, clock() + COMMITTED
            except BusUnavailable as error:
                self._tell(error)
                await asyncio.sleep(EVERY)

    def _tell(self, error: BusError) -> None:
        """Log each thing that is wrong once, not every second, until it flies again."""
        if (trouble := str(error)) not in self._told:
            log.warning("the canary cannot fly just now: %s", trouble)
            self._told.add(trouble)
