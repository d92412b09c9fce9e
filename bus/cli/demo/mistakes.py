"""What the demo gets wrong on purpose: a schema that would break readers, and broken events."""

import json
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bus.errors import IncompatibleSchema
from bus.event import SOURCE, frame, new_id, unchanging, write_time
from bus.kafka import Producer, Record
from bus.schemas import SchemaClient
from bus.settings import Settings

REMOVED = "unit"
"""The field that the breaking schema leaves out; every reader of readings relies on it."""

VENDOR = "de.mun.055150000000.careless-vendor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A malformed event: where it goes, its value, and what is wrong with it."""

    topic: str
    value: bytes
    what: str
    id: str = field(default_factory=new_id)

    def record(self) -> Record:
        """Return the record, its envelope in order: only the value is wrong."""
        envelope = [
            *unchanging(f"{SOURCE}{VENDOR}", self.topic),
            ("ce_id", self.id.encode()),
            ("ce_time", write_time(datetime.now(UTC)).encode()),
        ]
        return Record(b"careless", self.value, envelope)


def breaking(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema without a field that readers rely on."""
    broken = deepcopy(schema)
    broken["fields"] = [field for field in broken["fields"] if field["name"] != REMOVED]
    return broken


async def try_breaking_schema(schemas: SchemaClient, topic: str) -> str | None:
    """Try to register a schema that would break readers.

    Returns:
        The registry's sentence; None if the registry took the schema, which is a fault.
    """
    contract = await schemas.contract(topic)
    try:
        await schemas.register(f"{topic}-value", breaking(contract.versions[-1]))
    except IncompatibleSchema as refusal:
        return str(refusal)
    return None


async def mistakes(schemas: SchemaClient, addresses: str, readings: str) -> tuple[Mistake, ...]:
    """Return two malformed events: one that is no frame, one whose Avro breaks off."""
    contract = await schemas.contract(addresses)
    schema_id = await schemas.id_of(f"{addresses}-value", contract.versions[-1])
    return (
        Mistake(
            topic=readings,
            value=json.dumps({"result": 12}).encode(),
            what="JSON where the contract wants framed Avro",
        ),
        Mistake(
            topic=addresses,
            value=frame(schema_id, b"\x48half an add"),
            what="Avro that breaks off in its first field",
        ),
    )


async def publish_mistakes(settings: Settings, found: tuple[Mistake, ...]) -> None:
    """Write the malformed events past our own publisher, as a careless vendor's client would.

    Raises:
        BusUnavailable: the engine cannot take them.
    """
    async with Producer(settings.kafka, client_id=VENDOR) as producer:
        for mistake in found:
            await producer.append(mistake.topic, 0, [mistake.record()])
