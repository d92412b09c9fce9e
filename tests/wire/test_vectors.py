"""The golden vectors: what we write, what we read, and what we refuse, byte by byte."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from bus.avro.codec import Codec
from bus.avro.schema import parse
from bus.avro.text import from_json
from bus.contracts import Contract
from bus.errors import UndecodableEvent
from bus.event import (
    Draft,
    frame,
    key_of,
    partition_of,
    read_envelope,
    read_key,
    read_time,
    split_key,
    unframe,
    write_time,
)
from bus.kafka import Fetched
from bus.kafka.pack import Batch
from bus.kafka.unpack import unpack
from bus.publisher.lane import Lane
from bus.publisher.stream import Stream
from bus.schemas import SchemaClient
from bus.subscriber.decoding import Decoder, UnlearntSchema

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "docs" / "wire-vectors.json").read_text(encoding="utf-8")
)
TOPIC: str = VECTORS["topic"]
SCHEMA = VECTORS["schemas"]["7"]

CONTRACT = Contract(
    topic=TOPIC,
    title={"de": "Prüfdaten", "en": "Vectors"},
    description={"de": "Prüfdaten", "en": "Vectors"},
    owner="de.mun.055150000000",
    access="open",
    key=("id",),
    partitions=12,
    compatibility="FULL_TRANSITIVE",
    municipality="id",
    retention="P1D",
    sensitivity={},
    versions=(SCHEMA,),
    examples={},
    schema_ids=(7,),
)


def named(part: str) -> list[Any]:
    return [pytest.param(vector, id=vector["name"]) for vector in VECTORS[part]]


def record(vector: dict[str, Any]) -> Fetched:
    def raw(text: str | None) -> Any:
        return None if text is None else bytes.fromhex(text)

    headers = [(name, raw(value)) for name, value in vector["headers"]]
    return Fetched(
        TOPIC, 0, 5, 1_782_864_000_000, raw(vector["key"]), raw(vector["value"]), headers
    )


@pytest.mark.parametrize("vector", named("keys"))
def test_keys(vector: dict[str, Any]) -> None:
    key = key_of(vector["fields"])
    assert key == vector["key_text"] == read_key(bytes.fromhex(vector["key"]))
    assert {str(n): partition_of(key, n) for n in (1, 3, 12, 100)} == vector["partitions"]


def test_a_key_can_be_taken_apart_again() -> None:
    assert split_key(key_of(["a:b", "100%", "x%3Ay"])) == ("a:b", "100%", "x%3Ay")


@pytest.mark.parametrize("vector", VECTORS["times"], ids=lambda vector: str(vector["time"]))
def test_times(vector: dict[str, str]) -> None:
    assert write_time(read_time(vector["time"])) == vector["utc"]


@pytest.mark.parametrize("vector", named("events"))
def test_what_the_publisher_writes(vector: dict[str, Any]) -> None:
    """The order of headers means nothing; everything else is the same to the byte."""
    event = vector["event"]
    draft = Draft(
        data={},
        id=event["id"],
        time=datetime.fromisoformat(event["time"]),
        subject=event["subject"],
        traceparent=event["traceparent"],
    )
    stream = Stream(CONTRACT, event["system"])
    outgoing = stream.tombstone(event["key"][:1], draft, "")
    incarnation, _, number = event["sequence"].partition("/")
    lane = Lane(None, TOPIC, 0, incarnation, 1)  # type: ignore[arg-type]
    lane._count = int(number) - 1
    batch = Batch(lane._records([outgoing.record]), 0)._build()
    (written,), _ = unpack((TOPIC, 0), batch, 0)
    given = record(vector)
    assert sorted(written.headers) == sorted(given.headers)
    assert key_of(event["key"]).encode() == given.key
    if event["data"] is not None:
        data = from_json(parse(SCHEMA), event["data"])
        assert frame(event["schema_id"], Codec(SCHEMA).encode(data)) == given.value


@pytest.mark.parametrize("vector", named("events"))
async def test_what_the_subscriber_reads(vector: dict[str, Any], decoder: Decoder) -> None:
    event, given = decoder.event(record(vector)), vector["event"]
    data = given["data"] and from_json(parse(SCHEMA), given["data"])
    assert event.data == data
    assert (event.key, event.id, event.subject) == (
        vector["key_text"],
        given["id"],
        given["subject"],
    )
    assert event.source == f"urn:stadtbus:{given['system']}"
    assert (event.time, event.traceparent) == (read_time(given["time"]), given["traceparent"])
    assert event.sequence == given["sequence"]
    assert event.position is not None
    assert event.position.timestamp == datetime(2026, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize("vector", named("accepted"))
async def test_what_readers_tolerate(vector: dict[str, Any], decoder: Decoder) -> None:
    plain = decoder.event(record(VECTORS["events"][0]))
    read = decoder.event(record(vector))
    assert (read.id, read.time, read.data) == (plain.id, plain.time, plain.data)
    assert read.traceparent is None


@pytest.mark.parametrize("vector", named("refused"))
async def test_what_readers_refuse(vector: dict[str, Any], decoder: Decoder) -> None:
    async def read() -> None:
        try:
            decoder.event(record(vector))
        except UnlearntSchema as unlearnt:
            await decoder.learn(unlearnt.schema_id)

    with pytest.raises(UndecodableEvent) as caught:
        await read()
    assert caught.value.reason == vector["reason"]


@pytest.fixture
async def decoder() -> Any:
    """A decoder whose registry knows nothing beside the contract."""

    def nothing(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404, json={"error_code": 40403, "message": "Schema not found"})

    async with SchemaClient("http://registry") as registry:
        registry._rest._http = httpx.AsyncClient(
            base_url="http://registry", transport=httpx.MockTransport(nothing)
        )
        yield Decoder(CONTRACT, registry)


def test_functions_of_the_frame() -> None:
    assert unframe(frame(2**32 - 1, b"x")) == (2**32 - 1, b"x")
    headers = record(VECTORS["events"][0]).headers
    assert read_envelope(TOPIC, headers).id == VECTORS["events"][0]["event"]["id"]
