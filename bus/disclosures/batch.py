"""Disclosures as records of their topic, and back. Pure.

A record holds many. What repeats stands in it once: under which grants, for what and which fields
went to whom is one of a few `terms`, and an event that several got is one entry. `docs/trust.md`,
"Disclosures", has the form.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from bus.avro.codec import BAD_DATA, Codec
from bus.disclosures.disclosure import Disclosure
from bus.disclosures.topic import PARTITIONS, TOPIC
from bus.errors import UndecodableEvent
from bus.event import partition_of
from bus.kafka import Fetched, Record

VERSION = b"\1"
"""The first byte of a value; the data follows it."""

LARGEST = 256 * 1024
"""Bytes of the largest value, but for one that holds a single disclosure."""

MOST = 5_000
"""Disclosures of one record: a reader need not hold more at a time, whoever wrote it."""

_LAST_MS = 253_370_764_800_000  # 1 January 9999, in any zone a time that can be written

SCHEMA: Final[Any] = {
    "type": "record",
    "name": "Disclosures",
    "namespace": "stadtbus",
    "fields": [
        {"name": "topic", "type": "string"},
        {"name": "partition", "type": "int"},
        {
            "name": "terms",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Terms",
                    "fields": [
                        {"name": "owner", "type": "string"},
                        {"name": "recipient", "type": "string"},
                        {"name": "grants", "type": {"type": "array", "items": "bytes"}},
                        {"name": "purposes", "type": {"type": "array", "items": "string"}},
                        {"name": "fields", "type": {"type": "array", "items": "string"}},
                    ],
                },
            },
        },
        {
            "name": "events",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Told",
                    "fields": [
                        {"name": "id", "type": {"type": "fixed", "name": "Id", "size": 16}},
                        {"name": "subject", "type": "string"},
                        {"name": "at_ms", "type": "long"},
                        {"name": "offset", "type": ["null", "long"]},
                        {"name": "terms", "type": {"type": "array", "items": "int"}},
                    ],
                },
            },
        },
    ],
}

_codec = Codec(SCHEMA)


def records(disclosures: Sequence[Disclosure]) -> list[tuple[str, int, Record]]:
    """Return the records that tell of a transaction's disclosures, each with topic and partition.

    Args:
        disclosures: in the order in which feeds get what they tell of. Those of one source
            partition go to one partition, in this order.
    """
    by_source: dict[tuple[str, int], list[Disclosure]] = {}
    for one in disclosures:
        by_source.setdefault((one.topic, one.partition), []).append(one)
    return [
        (TOPIC, partition_of(key, PARTITIONS), Record(key.encode(), value))
        for (topic, partition), told in by_source.items()
        for key in [f"{topic}/{partition}"]
        for value in _values(topic, partition, told)
    ]


def read(record: Fetched) -> list[Disclosure]:
    """Return the disclosures that a record tells of, in their order.

    Where the record lies (partition and offset) and the place in this list name each for good.

    Raises:
        UndecodableEvent: it is none of this version, or not as it has to be.
    """
    try:
        return list(_disclosures(_decoded(record.value or b"")))
    except UndecodableEvent as error:
        place = f"{record.topic}/{record.partition}/{record.offset}"
        raise UndecodableEvent(error.what, reason=BAD_DATA, where=place) from None


def _decoded(value: bytes) -> dict[str, Any]:
    """Return what a value says, once nothing in it leads astray."""
    if value[:1] != VERSION:
        raise _bad(f"this does not begin with the version {VERSION[0]}")
    data: dict[str, Any] = _codec.decode(value[1:])
    if data["partition"] < 0:
        raise _bad(f"{data['partition']} is no partition")
    numbers = [number for event in data["events"] for number in event["terms"]]
    if len(numbers) > MOST:
        raise _bad(f"this tells of more than {MOST} disclosures")
    if not all(0 <= number < len(data["terms"]) for number in numbers):
        raise _bad("this names terms that are not there")
    for event in data["events"]:
        if not 0 <= event["at_ms"] < _LAST_MS:
            raise _bad(f"{event['at_ms']} is no time")
    return data


def _values(topic: str, partition: int, told: Sequence[Disclosure]) -> Iterator[bytes]:
    """Yield what tells of disclosures of one source partition, in halves where it is too large."""
    if len(told) <= MOST:
        value = VERSION + _codec.encode(_batch(topic, partition, told))
        if len(value) <= LARGEST or len(told) == 1:
            yield value
            return
    middle = len(told) // 2
    yield from _values(topic, partition, told[:middle])
    yield from _values(topic, partition, told[middle:])


def _batch(topic: str, partition: int, told: Sequence[Disclosure]) -> dict[str, Any]:
    terms: dict[tuple[Any, ...], int] = {}
    events = [
        {
            "id": UUID(event).bytes,
            "subject": subject,
            "at_ms": at_ms,
            "offset": offset,
            "terms": [terms.setdefault(_terms(one), len(terms)) for one in same],
        }
        for (event, subject, at_ms, offset), same in groupby(told, _event)
    ]
    names = ("owner", "recipient", "grants", "purposes", "fields")
    return {
        "topic": topic,
        "partition": partition,
        "terms": [dict(zip(names, one, strict=True)) for one in terms],
        "events": events,
    }


def _event(one: Disclosure) -> tuple[str, str, int, int | None]:
    return one.event, one.subject, one.at_ms, one.offset


def _terms(one: Disclosure) -> tuple[Any, ...]:
    return one.owner, one.recipient, one.grants, one.purposes, one.fields


def _disclosures(data: dict[str, Any]) -> Iterator[Disclosure]:
    terms = [
        (
            one["owner"],
            one["recipient"],
            tuple(one["grants"]),
            tuple(one["purposes"]),
            tuple(one["fields"]),
        )
        for one in data["terms"]
    ]
    for event in data["events"]:
        id_ = str(UUID(bytes=event["id"]))
        for number in event["terms"]:
            owner, recipient, grants, purposes, fields = terms[number]
            yield Disclosure(
                event["subject"],
                owner,
                recipient,
                grants,
                purposes,
                id_,
                fields,
                event["at_ms"],
                data["topic"],
                data["partition"],
                event["offset"],
            )


def _bad(what: str) -> UndecodableEvent:
    return UndecodableEvent(what, reason=BAD_DATA)
