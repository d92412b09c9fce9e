"""Records as JSON values, for people and programs that look at a topic."""

import base64
from typing import Any

from bus.avro.codec import Codec
from bus.avro.text import to_json
from bus.cli.when import iso, iso_ms
from bus.errors import NotFound, UndecodableEvent
from bus.event import BAD_BATCH, BAD_ENVELOPE, read_envelope, read_key, unframe
from bus.kafka import Fetched
from bus.schemas import SchemaClient


class Decoder:
    """Decodes records by the schemas that wrote them.

    Args:
        schemas: where schemas come from.
    """

    def __init__(self, schemas: SchemaClient) -> None:
        self._schemas = schemas
        self._codecs: dict[int, Codec] = {}

    async def decode(self, record: Fetched) -> dict[str, Any]:
        """Return an event's place, envelope and data.

        Raises:
            UndecodableEvent: the record is no event; the registry knows no such schema.
            BusUnavailable: the registry cannot be reached.
        """
        if record.fault:
            reason = BAD_BATCH if record.is_batch else BAD_ENVELOPE
            raise UndecodableEvent(record.fault, reason=reason)
        envelope = read_envelope(record.topic, record.headers)
        schema_id, value = await self.value(record)
        return {
            **place(record),
            "key": read_key(record.key),
            "id": envelope.id,
            "source": envelope.source,
            "time": iso(envelope.time),
            "subject": envelope.subject,
            "schema_id": schema_id,
            "value": value,
        }

    async def value(self, record: Fetched) -> tuple[int | None, Any]:
        """Return the schema id and the data of a record's value; two Nones for a tombstone.

        Raises:
            UndecodableEvent: the value is no framed Avro of a registered schema.
            BusUnavailable: the registry cannot be reached.
        """
        if record.value is None:
            return None, None
        schema_id, body = unframe(record.value)
        codec = self._codecs.get(schema_id)
        if codec is None:
            try:
                codec = Codec(await self._schemas.schema(schema_id))
            except NotFound as error:
                raise UndecodableEvent(
                    f"the registry knows no schema {schema_id}", reason="unknown-schema"
                ) from error
            self._codecs[schema_id] = codec
        return schema_id, to_json(codec.decode(body))


def place(record: Fetched) -> dict[str, Any]:
    """Return where a record lies, and since when."""
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": iso_ms(record.timestamp_ms),
    }


def raw(record: Fetched) -> dict[str, Any]:
    """Return a record as it is: bytes in base64, headers as text where they are text."""
    return {
        **place(record),
        "key_base64": base64_of(record.key),
        "value_base64": base64_of(record.value),
        "headers": {name: text(value) for name, value in record.headers},
    }


def text(value: bytes | None) -> str | None:
    """Return bytes as text; what is no UTF-8 is replaced, so that a terminal can show it."""
    return None if value is None else value.decode("utf-8", errors="replace")


def base64_of(value: bytes | None) -> str | None:
    """Return bytes in base64, as JSON can carry them."""
    return None if value is None else base64.b64encode(value).decode("ascii")
