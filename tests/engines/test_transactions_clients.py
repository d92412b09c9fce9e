"""Transactions: read, written and with the position kept by clients, all or nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as AioPlace
from aiokafka.errors import ProducerFenced
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from tests.broker.raw import Raw
from tests.engine import Engine
from tests.waiting import until

DEADLINE = 20.0  # seconds

Relay = Callable[[str, str, str, bool], Coroutine[Any, Any, None]]


@pytest.fixture
async def made(raw: Raw, topic: str) -> str:
    """A topic with three records in it, and another one, empty, to write to."""
    await raw.made(topic)
    await raw.made(f"{topic}.out")
    return topic


@asynccontextmanager
async def begun(bootstrap: str, name: str) -> AsyncIterator[AIOKafkaProducer]:
    """Run an aiokafka producer with this transactional id."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=name)
    try:
        async with asyncio.timeout(DEADLINE):
            await producer.start()
        yield producer
    finally:
        with suppress(ProducerFenced):
            await producer.stop()


async def by_aiokafka(bootstrap: str, topic: str, group: str, commit: bool) -> None:
    """Relay all records of a topic in one transaction, with the position."""
    async with asyncio.timeout(DEADLINE), begun(bootstrap, f"{group}.relay") as producer:
        await producer.begin_transaction()
        async with AIOKafkaConsumer(
            topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest"
        ) as consumer:
            for _ in range(3):
                record = await consumer.getone()
                await producer.send_and_wait(f"{topic}.out", record.value)
        await producer.send_offsets_to_transaction({AioPlace(topic, 0): 3}, group)
        await (producer.commit_transaction() if commit else producer.abort_transaction())


async def by_confluent(bootstrap: str, topic: str, group: str, commit: bool) -> None:
    """Relay all records of a topic in one transaction, with the position."""
    reading = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }

    def run() -> None:
        producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": f"{group}.relay"})
        producer.init_transactions(DEADLINE)
        consumer = Consumer(reading)
        consumer.assign([TopicPartition(topic, 0, 0)])
        producer.begin_transaction()
        for message in consumer.consume(3, DEADLINE):
            producer.produce(f"{topic}.out", message.value())
        producer.flush(DEADLINE)  # an abort drops what was not sent yet
        producer.send_offsets_to_transaction(
            [TopicPartition(topic, 0, 3)], consumer.consumer_group_metadata(), DEADLINE
        )
        if commit:
            producer.commit_transaction(DEADLINE)
        else:
            producer.abort_transaction(DEADLINE)
        consumer.close()

    await asyncio.to_thread(run)


async def filled(bootstrap: str, topic: str) -> None:
    """Write three records."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for number in range(3):
            await producer.send_and_wait(topic, b"%d" % number)


def read(bootstrap: str, topic: str, level: str) -> list[bytes]:
    """Return what confluent-kafka reads of a topic at this level."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"{topic}.reader",
            "isolation.level": level,
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[bytes] = []
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        for message in consumer.consume(10, 0.1):
            if message.error() is None:
                found.append(message.value())
            elif message.error().code() == KafkaError._PARTITION_EOF:
                consumer.close()
                return found
    raise AssertionError(f"no end of {topic} in {DEADLINE} s")


def position(bootstrap: str, topic: str, group: str) -> int:
    """Return a group's position."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    (place,) = consumer.committed([TopicPartition(topic, 0)], timeout=DEADLINE)
    consumer.close()
    return int(place.offset)


@pytest.mark.parametrize("relay", [by_aiokafka, by_confluent])
async def test_commit(engine: Engine, made: str, relay: Relay) -> None:
    """Clients read, write and commit their position in one transaction."""
    bootstrap, group = engine.settings.bootstrap, f"{made}.group"
    await filled(bootstrap, made)
    await relay(bootstrap, made, group, True)

    async def there() -> bool:
        got = await asyncio.to_thread(read, bootstrap, f"{made}.out", "read_committed")
        return got == [b"0", b"1", b"2"]

    await until(there)
    assert await asyncio.to_thread(position, bootstrap, made, group) == 3


@pytest.mark.parametrize("relay", [by_aiokafka, by_confluent])
async def test_abort(engine: Engine, made: str, relay: Relay) -> None:
    """Nothing of what clients abort is seen by others, nor does their position move."""
    bootstrap, group = engine.settings.bootstrap, f"{made}.group"
    await filled(bootstrap, made)
    await relay(bootstrap, made, group, False)
    for level, values in [("read_committed", []), ("read_uncommitted", [b"0", b"1", b"2"])]:
        assert await asyncio.to_thread(read, bootstrap, f"{made}.out", level) == values
    assert await asyncio.to_thread(position, bootstrap, made, group) < 0


async def test_aiokafka_is_fenced(engine: Engine, made: str) -> None:
    """A second aiokafka producer with the same transactional id fences the first."""
    bootstrap = engine.settings.bootstrap
    async with asyncio.timeout(DEADLINE), begun(bootstrap, made) as first:
        await first.begin_transaction()
        await first.send_and_wait(made, b"zombie")
        async with begun(bootstrap, made) as second:
            with pytest.raises(ProducerFenced):
                await first.commit_transaction()
            async with second.transaction():
                await second.send_and_wait(made, b"new")
    got = await asyncio.to_thread(read, bootstrap, made, "read_committed")
    assert got == [b"new"]


async def test_confluent_is_fenced(engine: Engine, made: str) -> None:
    """A second confluent-kafka producer with the same transactional id fences the first."""
    settings = {"bootstrap.servers": engine.settings.bootstrap, "transactional.id": made}

    def run() -> KafkaError:
        first, second = Producer(settings), Producer(settings)
        first.init_transactions(DEADLINE)
        first.begin_transaction()
        first.produce(made, b"zombie")
        first.flush(DEADLINE)
        second.init_transactions(DEADLINE)
        with pytest.raises(KafkaException) as refused:
            first.commit_transaction(DEADLINE)
        error: KafkaError = refused.value.args[0]
        return error

    error = await asyncio.to_thread(run)
    assert error.fatal()
    assert error.code() == KafkaError._FENCED
    got = await asyncio.to_thread(read, engine.settings.bootstrap, made, "read_committed")
    assert got == []
