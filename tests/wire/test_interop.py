"""Clients that are not ours write and read events without any code of ours."""

import asyncio
import json
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from bus.admin import Admin, TopicSpec
from bus.event import new_id, partition_of
from bus.kafka import Producer as OurProducer
from bus.kafka import Record
from bus.publisher import Publisher
from bus.settings import Settings
from bus.subscriber import Subscriber
from tests.city import GROUP, READINGS, SYSTEM, City, reading, records
from tests.wire.test_vectors import TOPIC, VECTORS, record

pytestmark = pytest.mark.slow


def headers(id_: str) -> list[tuple[str, bytes]]:
    """Return an envelope, written down from docs/wire.md."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", id_.encode()),
        ("ce_source", b"urn:stadtbus:de.mun.055150000000.zaehlstellen"),
        ("ce_type", READINGS.encode()),
        ("ce_time", b"2026-07-01T00:00:00Z"),
        ("content-type", b"application/avro"),
    ]


def confluent_writes(settings: Settings, ids: Sequence[str]) -> None:
    with SchemaRegistryClient({"url": settings.registry.url}) as registry:
        schema = registry.get_latest_version(f"{READINGS}-value").schema
        serialize = AvroSerializer(
            registry, schema, conf={"auto.register.schemas": False, "use.latest.version": False}
        )
        producer = Producer(
            {
                "bootstrap.servers": settings.kafka.bootstrap,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
            }
        )
        context = SerializationContext(READINGS, MessageField.VALUE)
        for number, id_ in enumerate(ids):
            series = f"station {number}"
            data = reading(number, series) | {"quality_flag": None}
            value = serialize(data, context)
            producer.produce(READINGS, key=series.encode(), value=value, headers=headers(id_))
        assert producer.flush(20) == 0


def confluent_reads(settings: Settings, count: int) -> list[tuple[bytes, dict[str, Any], Any]]:
    with SchemaRegistryClient({"url": settings.registry.url}) as registry:
        deserialize = AvroDeserializer(registry)
        consumer = Consumer(
            {
                "bootstrap.servers": settings.kafka.bootstrap,
                "group.id": "de.agency.statistik.confluent",
                "auto.offset.reset": "earliest",
            }
        )
        consumer.subscribe([READINGS])
        found: list[tuple[bytes, dict[str, Any], Any]] = []
        try:
            while len(found) < count:
                message = consumer.poll(10)
                assert message is not None
                assert not message.error(), message.error()
                context = SerializationContext(READINGS, MessageField.VALUE)
                data = deserialize(message.value(), context)
                found.append((message.key(), data, dict(message.headers())))
        finally:
            consumer.close()
        return found


async def test_confluents_serializer_writes_what_our_subscriber_reads(city: City) -> None:
    ids = [new_id() for _ in range(30)]
    await asyncio.to_thread(confluent_writes, city.settings, ids)
    seen: dict[str, Any] = {}
    async with Subscriber(GROUP, [READINGS], city.settings) as subscriber:

        async def handle(event: Any) -> None:
            assert event.position.partition == partition_of(event.key, 3)
            seen[event.id] = event.data
            if len(seen) == 30:
                subscriber.stop()

        await asyncio.wait_for(subscriber.run(handle), 20)
    assert seen == {
        id_: reading(n, f"station {n}") | {"quality_flag": None} for n, id_ in enumerate(ids)
    }


async def test_confluents_deserializer_reads_what_our_publisher_writes(city: City) -> None:
    async with Publisher(SYSTEM, city.settings) as publisher:
        receipts = await publisher.publish_many(
            READINGS, [reading(n, f"station:{n}") for n in range(20)]
        )
    found = await asyncio.to_thread(confluent_reads, city.settings, 20)
    by_id = {envelope["ce_id"].decode(): (key, data) for key, data, envelope in found}
    assert by_id == {
        receipt.id: (
            f"station%3A{n}".encode(),
            reading(n, f"station:{n}") | {"quality_flag": None},
        )
        for n, receipt in enumerate(receipts)
    }


async def test_confluents_partitioner_agrees_on_every_key(city: City) -> None:
    async with Admin(city.settings.kafka) as admin:
        await admin.ensure_topic(TopicSpec(name=TOPIC, partitions=12))
    keys = [bytes.fromhex(vector["key"]) for vector in VECTORS["keys"]]

    def write() -> None:
        producer = Producer(
            {
                "bootstrap.servers": city.settings.kafka.bootstrap,
                "partitioner": "murmur2_random",
            }
        )
        for key in keys:
            producer.produce(TOPIC, key=key, value=b"")
        assert producer.flush(20) == 0

    await asyncio.to_thread(write)
    found = [(r.key, r.partition) for r in await records(city.settings.kafka, TOPIC)]
    assert sorted(found, key=str) == sorted(
        ((bytes.fromhex(vector["key"]), vector["partitions"]["12"]) for vector in VECTORS["keys"]),
        key=str,
    )


@pytest.mark.parametrize("vector", VECTORS["events"], ids=lambda v: str(v["name"]))
async def test_kcat_carries_the_vectors_bytes(
    city: City, kcat: str, vector: dict[str, Any]
) -> None:
    given = record(vector)
    async with Admin(city.settings.kafka) as admin, OurProducer(city.settings.kafka) as producer:
        await admin.ensure_topic(TopicSpec(name=TOPIC, partitions=1))
        await producer.append(TOPIC, 0, [Record(given.key, given.value, given.headers)])
    read = await asyncio.to_thread(
        subprocess.run,
        [kcat, "-b", city.settings.kafka.bootstrap, "-C", "-t", TOPIC, "-e", "-q", "-J"],
        capture_output=True,
        check=True,
        timeout=20,
    )
    line = json.loads(read.stdout.decode("utf-8", "surrogateescape"))
    assert line["key"].encode() == given.key
    pairs = iter(line["headers"])
    assert [(name, value.encode()) for name, value in zip(pairs, pairs, strict=True)] == list(
        given.headers
    )


async def test_kcat_writes_an_event_that_our_subscriber_reads(city: City, kcat: str) -> None:
    async with Publisher(SYSTEM, city.settings) as publisher:
        await publisher.publish(READINGS, reading())
    (written,) = await records(city.settings.kafka, READINGS)
    id_ = new_id()
    arguments = [kcat, "-b", city.settings.kafka.bootstrap, "-P", "-t", READINGS]
    arguments += ["-p", str(written.partition), "-k", "a", "-D", "~~~"]
    for name, value in headers(id_):
        arguments += ["-H", f"{name}={value.decode()}"]
    await asyncio.to_thread(subprocess.run, arguments, input=written.value, check=True, timeout=20)
    seen = []
    async with Subscriber(GROUP, [READINGS], city.settings) as subscriber:

        async def handle(event: Any) -> None:
            seen.append(event)
            if len(seen) == 2:
                subscriber.stop()

        await asyncio.wait_for(subscriber.run(handle), 20)
    assert seen[1].id == id_
    assert seen[0].data == seen[1].data
