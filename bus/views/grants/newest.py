"""The newest events of a contract, to show what would flow of them."""

from bus.contracts import Contract
from bus.errors import UndecodableEvent
from bus.event import Event
from bus.kafka import Fetched, LogReader
from bus.subscriber.decoding import Decoder, Schemas, UnlearntSchema
from bus.trust.grants.samples import Happened

LOOKED_AT = 500
"""Offsets of a partition, from its end on, that are looked at."""


async def newest(reader: LogReader, contract: Contract, registry: Schemas) -> list[Happened]:
    """Return a contract's newest events, newest first; what cannot be decoded is left out.

    Args:
        reader: reads the shared topic.
        contract: in force, with the ids of its schemas.
        registry: is asked about schemas that the contract did not have yet.

    Raises:
        NotFound: the topic does not exist.
        NotAuthorised: who reads may not.
        BusUnavailable: engine or registry cannot be reached.
    """
    decoder, found = Decoder(contract, registry), list[Happened]()
    for partition, (first, end) in (await reader.bounds(contract.topic)).items():
        position = max(first, end - LOOKED_AT)
        while position < end:
            records = await reader.read(contract.topic, partition, position)
            if not records:
                break
            position = records[-1].offset + 1
            for record in records:
                if (event := await happened(decoder, record)) is not None:
                    found.append(event)
    return sorted(found, key=lambda event: event.at_ms, reverse=True)


async def happened(decoder: Decoder, record: Fetched) -> Happened | None:
    """Return what a record says; None for a tombstone, and for what cannot be decoded.

    Raises:
        BusUnavailable: the registry cannot be reached.
    """
    try:
        event = await decoded(decoder, record)
    except UndecodableEvent:
        return None
    if event.data is None:
        return None
    place = f"{record.topic}-{record.partition}@{record.offset}"
    return Happened(values=event.data, at_ms=record.timestamp_ms, place=place)


async def decoded(decoder: Decoder, record: Fetched) -> Event:
    """Return the event that a record carries; a schema that is new is asked for.

    Raises:
        UndecodableEvent: it is no event.
        BusUnavailable: the registry cannot be reached.
    """
    try:
        return decoder.event(record)
    except UnlearntSchema as unlearnt:
        await decoder.learn(unlearnt.schema_id)
        return decoder.event(record)
