"""Typed events with confluent-kafka and its own Avro serializer, set up as documented."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from uuid_utils import uuid7

from bus.event import SOURCE
from ops.bench.addresses import address, addresses
from ops.bench.contenders.loop import check_written
from ops.bench.contract import SYSTEM, put_in_force
from ops.bench.ledger import Ledger, expected
from ops.bench.model import Task, Unverified

Send = Callable[[Mapping[str, Any]], None]


def publish_bulk(task: Task) -> Mapping[str, float]:
    """Publish as fast as the producer's queue takes events."""
    asyncio.run(put_in_force(task))
    producer, acknowledged, send = _publishing(task, linger=5)
    events = list(addresses(task.warm + task.count))
    for data in events[: task.warm]:
        send(data)
    producer.flush()
    begun = time.perf_counter()
    for number, data in enumerate(events[task.warm :]):
        send(data)
        if number % 1000 == 0:
            producer.poll(0)
    producer.flush()
    seconds = time.perf_counter() - begun
    return _verified(task, acknowledged(), seconds)


def publish_single(task: Task) -> Mapping[str, float]:
    """Publish one event after the other, each once the one before it is acknowledged."""
    asyncio.run(put_in_force(task))
    producer, acknowledged, send = _publishing(task, linger=0)
    begun = 0.0
    for n in range(task.warm + task.count):
        if n == task.warm:
            begun = time.perf_counter()
        send(address(n))
        while acknowledged() <= n:
            producer.poll(1.0)
    seconds = time.perf_counter() - begun
    return _verified(task, acknowledged(), seconds)


def _publishing(task: Task, linger: int) -> tuple[Any, Callable[[], int], Send]:
    registry = SchemaRegistryClient({"url": task.registry})
    schema = registry.get_latest_version(f"{task.topic}-value").schema.schema_str
    serialize = AvroSerializer(registry, schema, conf={"auto.register.schemas": False})
    context = SerializationContext(task.topic, MessageField.VALUE)
    producer = Producer(
        {
            "bootstrap.servers": task.bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": linger,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    acknowledged = sent = 0
    incarnation, topic = uuid4().hex, task.topic
    source, type_ = f"{SOURCE}{SYSTEM}".encode(), topic.encode()

    def on_delivery(error: Any, _: Any) -> None:
        nonlocal acknowledged
        acknowledged += error is None

    def send(data: Mapping[str, Any]) -> None:
        nonlocal sent
        sent += 1
        key = data["address_id"].encode()
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_source", source),
            ("ce_type", type_),
            ("content-type", b"application/avro"),
            ("ce_id", str(uuid7()).encode()),
            ("ce_time", (datetime.now(UTC).isoformat()[:-6] + "Z").encode()),
            ("ce_subject", key),
            ("stadtbus-seq", f"{incarnation}/{sent}".encode()),
        ]
        value = serialize(data, context)
        producer.produce(topic, key=key, value=value, headers=headers, on_delivery=on_delivery)

    return producer, lambda: acknowledged, send


def _verified(task: Task, acknowledged: int, seconds: float) -> Mapping[str, float]:
    if acknowledged != task.warm + task.count:
        raise Unverified(f"{acknowledged} of {task.warm + task.count} events are acknowledged")
    asyncio.run(check_written(task, acknowledged))
    return {"throughput": task.count / seconds}


def consume(task: Task) -> Mapping[str, float]:
    """Read all events of the prepared topic, headers read and data deserialized."""
    deserialize = AvroDeserializer(SchemaRegistryClient({"url": task.registry}))
    topic = task.prepared["topic"]
    context = SerializationContext(topic, MessageField.VALUE)
    consumer = Consumer(
        {
            "bootstrap.servers": task.bootstrap,
            "group.id": task.group,
            "auto.offset.reset": "earliest",
            "auto.commit.interval.ms": 1000,
            # The default of a second leaves the consumer waiting while the broker has more.
            "fetch.queue.backoff.ms": 2,
        }
    )
    consumer.subscribe([topic])
    ledger, begun = Ledger(), 0.0
    while ledger.count < task.count:
        for message in consumer.consume(500, 0.2):
            if message.error() is not None:
                raise Unverified(f"reading failed: {message.error()}")
            begun = begun or time.perf_counter()
            headers = dict(message.headers())
            data = deserialize(message.value(), context)
            key, id_ = message.key().decode(), headers["ce_id"].decode()
            ledger.add(message.partition(), key, id_, data)
    consumer.commit(asynchronous=False)
    seconds = time.perf_counter() - begun
    consumer.close()
    ledger.check(expected(task.count))
    return {"throughput": ledger.count / seconds}
