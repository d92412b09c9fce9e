"""Records to events: bytes are checked and decoded; what is wrong has a reason."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Protocol

from bus.avro.codec import Codec, projection
from bus.contracts import Contract
from bus.errors import InvalidSchema, NotFound, UndecodableEvent
from bus.event import BAD_BATCH, BAD_ENVELOPE, Event, Position, read_envelope, read_key, unframe
from bus.kafka import Fetched
from bus.letters import original

UNKNOWN_SCHEMA = "unknown-schema"
"""The reason word for a schema id that is none of the topic's."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Decode = Callable[[bytes], Any]


class Schemas(Protocol):
    """Where schemas come from that a contract did not have yet; `bus.schemas.SchemaClient`."""

    async def schema_on(self, topic: str, schema_id: int) -> Any:
        """Return a schema by its id if it is registered for a topic's values."""


class UnlearntSchema(Exception):
    """A schema id that was not met before; `Decoder.learn` asks the registry."""

    def __init__(self, schema_id: int) -> None:
        self.schema_id = schema_id
        super().__init__(f"schema {schema_id}")


class Elsewhere(Exception):
    """A re-driven event that is for another group, or for nobody."""


class Decoder:
    """Decodes the records of one contract.

    Args:
        contract: as the registry has it, with its schemas' ids.
        registry: is asked about schemas that the contract did not have yet.
        version: the version to read every event as; as it was written if None.

    Raises:
        NotFound: the contract has no such version.
    """

    def __init__(self, contract: Contract, registry: Schemas, version: int | None = None) -> None:
        if version is not None and not 1 <= version <= len(contract.versions):
            raise NotFound(
                f"there is no version {version}; {len(contract.versions)} are in force",
                where=contract.topic,
            )
        self.topic = self.source = contract.topic
        self._registry = registry
        self._wanted = None if version is None else contract.versions[version - 1]
        self._by_id: dict[int, Decode] = {
            schema_id: self._decode(schema)
            for schema_id, schema in zip(contract.schema_ids, contract.versions, strict=False)
        }

    @property
    def _schemas_of(self) -> str:
        """The topic under whose subject the registry has the schemas."""
        return self.topic

    def event(self, record: Fetched) -> Event:
        """Return the event that a record carries.

        Raises:
            UndecodableEvent: the record does not keep to the wire contract.
            UnlearntSchema: its schema is not known here yet.
        """
        if record.fault:
            reason = BAD_BATCH if record.is_batch else BAD_ENVELOPE
            raise UndecodableEvent(record.fault, reason=reason)
        key = read_key(record.key)
        envelope = read_envelope(self.topic, record.headers)
        data = None
        if record.value is not None:
            schema_id, body = unframe(record.value)
            decode = self._by_id.get(schema_id)
            if decode is None:
                raise UnlearntSchema(schema_id)
            data = decode(body)
        id_, source, time, subject, traceparent, sequence = envelope
        at = _moment(record.timestamp_ms)
        position = Position(record.topic, record.partition, record.offset, at)
        return Event(
            self.topic, key, data, id_, source, time, subject, traceparent, sequence, position
        )

    def redriven_for(self, group: str) -> "Redrive":
        """Return what decodes events of this contract that come to a group once more."""
        return Redrive(self, group)

    async def learn(self, schema_id: int) -> None:
        """Ask the registry for a schema.

        Raises:
            UndecodableEvent: the registry has no such schema for this topic.
            BusUnavailable: the registry cannot be reached; ask again.
        """
        try:
            schema = await self._registry.schema_on(self._schemas_of, schema_id)
            self._by_id[schema_id] = self._decode(schema)
        except (NotFound, InvalidSchema) as error:
            raise UndecodableEvent(
                f"schema {schema_id} is none of the contract's: {error}", reason=UNKNOWN_SCHEMA
            ) from error

    def _decode(self, schema: Any) -> Decode:
        codec = Codec(schema)
        if self._wanted is None or self._wanted == schema:
            return codec.decode
        return projection(codec, self._wanted)


class Redrive:
    """Decodes the records of a redrive topic that are for one group.

    Args:
        decoder: decodes what they were on their own topic.
        group: whose records these are; those of others raise `Elsewhere`.
    """

    def __init__(self, decoder: Decoder, group: str) -> None:
        self._decoder, self._group = decoder, group
        self.learn = decoder.learn

    def event(self, record: Fetched) -> Event:
        """Return the event that a record carries, with its history.

        Raises:
            Elsewhere: it is not for this group.
            UndecodableEvent, UnlearntSchema: as for `Decoder.event`.
        """
        found = original(record)
        if found is None or found[0].topic != self._decoder.source or found[1] != self._group:
            raise Elsewhere
        event = self._decoder.event(found[0])
        at = Position(record.topic, record.partition, record.offset, _moment(record.timestamp_ms))
        return event._replace(position=at, redriven=found[2])


@lru_cache(64)  # what was appended at once bears one time
def _moment(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
