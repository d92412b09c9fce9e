"""The publisher: what a city's system uses to announce events."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from bus.errors import Conflict, InvalidEvent, InvalidSettings
from bus.event import Draft, member_of, new_id
from bus.kafka import Producer
from bus.publisher.lane import BATCH_BYTES, Lane
from bus.publisher.sealing import signer_of
from bus.publisher.stream import Outgoing, Receipt, Stream, drafted, now_text
from bus.schemas import SchemaClient
from bus.settings import Settings, load
from bus.startable import Startable
from bus.telemetry import Publishing
from bus.trust.signer import Signer


class Publisher(Startable):
    """Publishes typed events; each call returns once the engine has them durably.

    Calls may overlap: per key, events are written in the order of the calls.

    Args:
        system: who publishes, such as ``de.mun.055150000000.zaehlstellen``.
        settings: where engine and registry are; as `bus.settings.load` finds them if None.
        versions: the schema's version to write with, by topic; the newest where none is given.
        deadline: seconds that a call tries before it raises BusUnavailable or OutcomeUnknown.
        metrics: shows what is not sent yet; the publishers of a process share one.
        signer: holds the system's key, which signs what is sent on restricted contracts; the key
            that the settings name if None.

    Raises:
        InvalidSettings: the system's name is none, or the key's passphrase cannot be read.
        InvalidKey: the key that the settings name cannot be used.
    """

    def __init__(
        self,
        system: str,
        settings: Settings | None = None,
        *,
        versions: Mapping[str, int] | None = None,
        deadline: float = 30.0,
        metrics: Publishing | None = None,
        signer: Signer | None = None,
    ) -> None:
        if member_of(system) is None:
            raise InvalidSettings(
                "a system is named after its member, such as de.mun.055150000000.zaehlstellen",
                where=f'system "{system}"',
            )
        self._system = system
        self._settings = settings or load()
        self._versions = dict(versions or {})
        self._deadline = deadline
        self._signer = signer or signer_of(self._settings)
        self._incarnation = UUID(new_id()).hex
        self._producer = Producer(self._settings.kafka, client_id=system)
        self._registry = SchemaClient.of(self._settings, self._settings.cache)
        self._streams: dict[str, Stream] = {}
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._opening = asyncio.Lock()
        self._metrics = metrics

    async def start(self) -> None:
        """Connect to the engine.

        Raises:
            BusUnavailable: no broker answers.
            NotAuthenticated: the engine does not accept the credentials.
        """
        try:
            await self._producer.start()
        except BaseException:
            await self._registry.close()
            raise
        if self._metrics is not None:
            self._metrics.add(self)

    @property
    def unsent(self) -> int:
        """Events that it was given and that the engine has not acknowledged."""
        return sum(lane.unsent for lane in list(self._lanes.values()))

    async def stop(self) -> None:
        """Send what is still queued, then close."""
        await asyncio.gather(*(lane.flush() for lane in self._lanes.values()))
        await self._producer.stop()
        await self._registry.close()
        if self._metrics is not None:
            self._metrics.remove(self)

    async def publish(
        self,
        topic: str,
        data: Mapping[str, Any],
        *,
        time: datetime | None = None,
        subject: str | None = None,
        id: str | None = None,  # noqa: A002  # CloudEvents' name for it
        traceparent: str | None = None,
    ) -> Receipt:
        """Publish one event.

        Args:
            topic: the contract's topic.
            data: what the contract describes.
            time: when it happened, with its time zone; now if None.
            subject: what it is about; the contract's subject field if None.
            id: a UUID; one is made if None. To send an event again, give the same id.
            traceparent: W3C trace context to pass through.

        Raises:
            InvalidEvent: it does not keep to the contract; nothing was sent.
            InvalidSettings: the contract is restricted, and the publisher has no key.
            EventTooLarge: it is above the limit; nothing was sent.
            NotFound: there is no contract for the topic.
            OutcomeUnknown: nobody answered in time; it may have been written, and is sent again
                before anything later in its partition.
            BusUnavailable: it could not be sent.
        """
        stream = await self._stream(topic)
        draft = Draft(data=data, time=time, subject=subject, id=id, traceparent=traceparent)
        return await self._one(topic, stream.event(draft, now_text()))

    async def tombstone(
        self,
        topic: str,
        *key: Any,
        time: datetime | None = None,
        subject: str | None = None,
        municipality: str | None = None,
    ) -> Receipt:
        """End the last state of a key on a topic that keeps it.

        Args:
            topic: the contract's topic.
            key: the values of the contract's key fields, in order.
            time: when it ended; now if None.
            subject: whom or what it is about; the field of the key that says so if None.
            municipality: which one it is about; the field of the key that says so if None. A
                restricted contract needs both.

        Raises:
            InvalidEvent: these are not the contract's key fields, or subject or municipality is
                missing where it is needed.
            NotFound, OutcomeUnknown, BusUnavailable: as for `publish`.
        """
        stream = await self._stream(topic)
        draft = Draft(data={}, time=time, subject=subject)
        return await self._one(topic, stream.tombstone(key, draft, now_text(), municipality))

    async def publish_many(
        self, topic: str, events: Iterable[Draft | Mapping[str, Any]]
    ) -> list[Receipt]:
        """Publish events in bulk; the receipts are in the order of the events.

        All of them are checked before any is sent. Where sending fails for one partition, events
        of others may have been written: publish again with the same ids.

        Args:
            topic: the contract's topic.
            events: data, or drafts where more than the data is given.

        Raises:
            InvalidEvent: one does not keep to the contract (``where`` begins with its number,
                counted from 0); nothing was sent.
            EventTooLarge, NotFound, OutcomeUnknown, BusUnavailable: as for `publish`.
        """
        stream = await self._stream(topic)
        by_partition: dict[int, list[bytes]] = {}
        places: list[tuple[int, int, str]] = []
        now = now_text()
        for number, event in enumerate(events):
            try:
                partition, id_, record = stream.event(drafted(event), now)
            except InvalidEvent as error:
                raise InvalidEvent(error.what, where=f"event {number}: {error.where}") from error
            lane = by_partition.setdefault(partition, [])
            places.append((partition, len(lane), id_))
            lane.append(record)
        offsets = await self._all(topic, by_partition)
        return [
            Receipt(id_, topic, partition, offsets[partition][index])
            for partition, index, id_ in places
        ]

    async def _one(self, topic: str, event: Outgoing) -> Receipt:
        partition, id_, record = event
        offset = await self._lane(topic, partition).put([record])
        return Receipt(id_, topic, partition, offset if offset >= 0 else None)

    async def _all(
        self, topic: str, by_partition: Mapping[int, Sequence[bytes]]
    ) -> dict[int, list[int | None]]:
        """Send all partitions side by side, and return the offsets of their events."""
        sent = {
            partition: [
                (len(batch), self._lane(topic, partition).put(batch)) for batch in _batches(events)
            ]
            for partition, events in by_partition.items()
        }
        answers = [answer for batches in sent.values() for _, answer in batches]
        outcomes = await asyncio.gather(*answers, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return {
            partition: [
                offset for count, answer in batches for offset in _offsets(answer.result(), count)
            ]
            for partition, batches in sent.items()
        }

    async def _stream(self, topic: str) -> Stream:
        if topic not in self._streams:
            async with self._opening:
                if topic not in self._streams:
                    self._streams[topic] = await self._open(topic)
        return self._streams[topic]

    async def _open(self, topic: str) -> Stream:
        contract = await self._registry.contract(topic)
        stream = Stream(contract, self._system, self._versions.get(topic), self._signer)
        partitions = await self._producer.partitions(topic)
        if partitions != contract.partitions:
            raise Conflict(
                f"the topic has {partitions} partitions, its contract says {contract.partitions}",
                where=topic,
            )
        return stream

    def _lane(self, topic: str, partition: int) -> Lane:
        place = (topic, partition)
        if place not in self._lanes:
            self._lanes[place] = Lane(
                self._producer,
                topic,
                partition,
                self._incarnation,
                self._deadline,
            )
        return self._lanes[place]


def _batches(events: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    start = size = 0
    for index, event in enumerate(events):
        size += len(event)
        if size > BATCH_BYTES and index > start:
            yield events[start:index]
            start, size = index, len(event)
    yield events[start:]


def _offsets(base: int, count: int) -> Iterable[int | None]:
    """Return the offsets of a batch's events; None for each where the engine had them already."""
    return range(base, base + count) if base >= 0 else [None] * count
