"""Untyped records of 200 bytes, produced and consumed by aiokafka and by confluent-kafka.

What is compared here are engines: both get the same load from the same client.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bus.admin import Admin, TopicSpec
from ops.bench.ledger import Tally, record
from ops.bench.model import Task, Unverified

BATCH_BYTES = 64_000
"""Bytes of aiokafka's batches; confluent-kafka makes its own."""


async def make_topic(task: Task, partitions: int) -> None:
    """Make the run's topic; return once it can be written to."""
    async with Admin(task.settings.kafka) as admin:
        await admin.ensure_topic(
            TopicSpec(name=task.topic, partitions=partitions, configs=task.configs)
        )
        while (await admin.topics()).get(task.topic) != partitions:  # noqa: ASYNC110  # no engine tells
            await asyncio.sleep(0.05)


def produce_and_consume(task: Task) -> Mapping[str, float]:
    """Produce and consume with the case's client."""
    return _confluent(task) if task.case["client"] == "confluent" else asyncio.run(_aiokafka(task))


async def _aiokafka(task: Task) -> Mapping[str, float]:
    partitions: int = task.case["partitions"]
    await make_topic(task, partitions)
    return {
        "produce": task.count / await produce_aiokafka(task, partitions),
        "consume": task.count / await consume_aiokafka(task, partitions),
    }


async def produce_aiokafka(task: Task, partitions: int) -> float:
    """Return the seconds that it took to produce all records."""
    topic, answers = task.topic, []
    async with AIOKafkaProducer(
        bootstrap_servers=task.bootstrap,
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        max_batch_size=BATCH_BYTES,
    ) as producer:
        await producer.partitions_for(topic)
        begun = time.perf_counter()
        batches = {n: producer.create_batch() for n in range(partitions)}
        for n in range(task.count):
            place, value = n % partitions, record(n)
            if batches[place].append(timestamp=None, key=None, value=value) is None:
                answers.append(await producer.send_batch(batches[place], topic, partition=place))
                batches[place] = producer.create_batch()
                batches[place].append(timestamp=None, key=None, value=value)
        for place, batch in batches.items():
            if batch.record_count():
                answers.append(await producer.send_batch(batch, topic, partition=place))
        await asyncio.gather(*answers)
        return time.perf_counter() - begun


async def consume_aiokafka(task: Task, partitions: int) -> float:
    """Return the seconds from the first record in hand to the last.

    Raises:
        Unverified: they are not what was produced.
    """
    tally, begun = Tally(), 0.0
    async for found in read(task, partitions, task.count):
        begun = begun or time.perf_counter()
        for place, values in found.items():
            tally.add(place, values)
    seconds = time.perf_counter() - begun
    tally.check(task.count, partitions)
    return seconds


async def read(
    task: Task, partitions: int, count: int
) -> AsyncIterator[Mapping[int, Sequence[bytes]]]:
    """Yield the values of the run's topic by partition, as they come, until there are so many."""
    async with AIOKafkaConsumer(
        bootstrap_servers=task.bootstrap, enable_auto_commit=False
    ) as consumer:
        places = [TopicPartition(task.topic, n) for n in range(partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        while count > 0:
            found = await consumer.getmany(timeout_ms=1000)
            values = {place.partition: [one.value for one in found[place]] for place in found}
            count -= sum(map(len, values.values()))
            yield values


def _confluent(task: Task) -> Mapping[str, float]:
    partitions: int = task.case["partitions"]
    asyncio.run(make_topic(task, partitions))
    return {
        "produce": task.count / _produce_confluent(task, partitions),
        "consume": task.count / _consume_confluent(task, partitions),
    }


def produce_one_by_one(task: Task) -> None:
    """Produce each record by a request of its own, without waiting for answers."""
    asyncio.run(make_topic(task, 1))
    _produce_confluent(task, 1, {"batch.num.messages": 1, "linger.ms": 0} | PIPELINING)


PIPELINING = {"enable.idempotence": False, "max.in.flight.requests.per.connection": 1_000_000}
"""Idempotent producers have five requests in flight at most."""


def _produce_confluent(
    task: Task, partitions: int, changes: Mapping[str, Any] = MappingProxyType({})
) -> float:
    from confluent_kafka import Producer

    acknowledged, topic = 0, task.topic

    def on_delivery(error: Any, _: Any) -> None:
        nonlocal acknowledged
        acknowledged += error is None

    producer = Producer(
        {
            "bootstrap.servers": task.bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 5,
            "queue.buffering.max.messages": 2_000_000,
            "on_delivery": on_delivery,
            **changes,
        }
    )
    producer.list_topics(topic)
    begun = time.perf_counter()
    for n in range(task.count):
        producer.produce(topic, record(n), partition=n % partitions)
        if n % 1000 == 0:
            producer.poll(0)
    producer.flush()
    seconds = time.perf_counter() - begun
    if acknowledged != task.count:
        raise Unverified(f"{acknowledged} of {task.count} records are acknowledged")
    return seconds


def _consume_confluent(task: Task, partitions: int) -> float:
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    consumer = Consumer(
        {
            "bootstrap.servers": task.bootstrap,
            "group.id": task.group,
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 2,
        }
    )
    consumer.assign([TopicPartition(task.topic, n, OFFSET_BEGINNING) for n in range(partitions)])
    tally, begun, last = Tally(), 0.0, 0.0
    while tally.count < task.count:
        by_place: dict[int, list[bytes]] = defaultdict(list)
        for message in consumer.consume(1000, 1.0):
            begun = begun or time.perf_counter()
            if message.error() is not None:
                raise Unverified(f"reading failed: {message.error()}")
            by_place[message.partition()].append(message.value())
        for place, values in by_place.items():
            tally.add(place, values)
        last = time.perf_counter()
    consumer.close()
    tally.check(task.count, partitions)
    return last - begun
