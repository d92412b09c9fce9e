"""Lines from records: decoded by the schemas that wrote them, masked as the contract says."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from bus.avro.codec import BAD_DATA
from bus.avro.text import to_json
from bus.contracts import Contract
from bus.errors import BusError, BusUnavailable, NotFound, UndecodableEvent
from bus.event import SOURCE, Event
from bus.kafka import Fetched
from bus.portal.masking import Masking
from bus.portal.tailing.line import Line, Payload
from bus.subscriber.decoding import Decoder, UnlearntSchema

NO_CONTRACT, NO_REGISTRY = "no-contract", "no-registry"
"""Why a record was not decoded, beside the reasons of the wire contract."""

FRESH, AGAIN = 30.0, 2.0
"""Seconds for which a contract counts as it was; until one that was not had is asked for again."""


class Registry(Protocol):
    """Where contracts and schemas come from; `bus.schemas.SchemaClient` is one."""

    async def contract(self, topic: str) -> Contract:
        """Return the contract in force.

        Raises:
            NotFound: there is none.
            BusUnavailable: the registry cannot be reached.
        """

    async def schema_on(self, topic: str, schema_id: int) -> Any:
        """Return a schema if it is registered for a topic's values.

        Raises:
            NotFound: it is not.
            BusUnavailable: the registry cannot be reached.
        """


class Decoding:
    """Makes lines of one topic's records; nothing in them makes it stop.

    Args:
        topic: the topic.
        registry: where its contract comes from.
        clock: seconds that only go forward.
    """

    def __init__(
        self, topic: str, registry: Registry, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._topic, self._registry, self._clock = topic, registry, clock
        self._contract: Contract | None = None
        self._decoder: Decoder | None = None
        self._masking: Masking | None = None
        self._due = -1.0
        self._absent = NO_REGISTRY

    async def line(self, record: Fetched) -> Line:
        """Return a record as it is shown."""
        await self._look()
        if self._decoder is None or self._masking is None:
            return _fault(record, self._absent)
        try:
            return _line(record, await self._event(self._decoder, record), self._masking)
        except UndecodableEvent as error:
            # What is wrong is told with pieces of what is there.
            return _fault(record, error.reason, "" if self._masking.hides else error.what)
        except BusUnavailable:
            return _fault(record, NO_REGISTRY)
        except (OverflowError, RecursionError):  # a time that no calendar has, data too deep
            return _fault(record, BAD_DATA)

    async def _event(self, decoder: Decoder, record: Fetched) -> Event:
        try:
            return decoder.event(record)
        except UnlearntSchema as unlearnt:
            await decoder.learn(unlearnt.schema_id)
            return decoder.event(record)

    async def _look(self) -> None:
        """Have the contract as it is now, or as it was a short time ago."""
        if self._clock() < self._due:
            return
        try:
            contract = await self._registry.contract(self._topic)
            if contract != self._contract:
                self._decoder = Decoder(contract, self._registry)
                self._contract, self._masking = contract, Masking.of(contract)
            self._due = self._clock() + FRESH
        except BusError as error:
            self._due = self._clock() + AGAIN
            self._absent = NO_CONTRACT if isinstance(error, NotFound) else NO_REGISTRY
            if isinstance(error, NotFound):
                self._contract = self._decoder = self._masking = None


def _line(record: Fetched, event: Event, masking: Masking) -> Line:
    clear = Payload(key=event.key, subject=event.subject, data=_json(event.data))
    masked = clear
    if masking.hides:
        masked = Payload(
            key=masking.key(event.key),
            subject=masking.subject(event.subject),
            data=_json(masking.data(event.data)),
        )
    size = 200 + 2 * len(event.key) + len(clear.data or "") + len(masked.data or "")
    return Line(
        partition=record.partition,
        offset=record.offset,
        at=record.appended,
        source=event.source.removeprefix(SOURCE),
        masked=masked,
        clear=clear,
        size=size,
    )


def _json(data: Any) -> str | None:
    return None if data is None else json.dumps(to_json(data), ensure_ascii=False)


def _fault(record: Fetched, fault: str, why: str = "") -> Line:
    line = Line(
        partition=record.partition,
        offset=record.offset,
        at=record.appended,
        fault=fault,
        why=why,
    )
    if fault != NO_REGISTRY:
        return line
    size = line.size + len(record.key or b"") + len(record.value or b"")
    return replace(line, record=record, size=size)
