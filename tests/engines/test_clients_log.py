"""Clients: reading, writing and administration by aiokafka, confluent-kafka and kcat."""

import asyncio
import subprocess
import time
from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin import NewTopic as KafkaTopic
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicCollection
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from tests.broker.raw import CODECS, DEADLINE, TIME, Raw, batch
from tests.engine import Engine

pytestmark = pytest.mark.slow


@pytest.fixture
def bootstrap(engine: Engine) -> str:
    """The engine's address, as clients want it."""
    return engine.settings.bootstrap


@pytest.fixture
def admin(bootstrap: str) -> AdminClient:
    """confluent-kafka's client for administration."""
    return AdminClient({"bootstrap.servers": bootstrap})


async def read(bootstrap: str, topic: str, count: int) -> list[Any]:
    """Read so many records with aiokafka, from the beginning."""
    found: list[Any] = []
    async with (
        AIOKafkaConsumer(
            topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest"
        ) as consumer,
        asyncio.timeout(DEADLINE),
    ):
        while len(found) < count:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += records
    return found


@pytest.mark.parametrize("codec", list(CODECS))
async def test_aiokafka(bootstrap: str, raw: Raw, topic: str, codec: str) -> None:
    """aiokafka reads what it wrote idempotently, with every codec."""
    await raw.made(topic, 3)
    sent = [b"value %d " % number * 20 for number in range(300)]
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        enable_idempotence=True,
        compression_type=None if codec == "none" else codec,
    ) as producer:
        await asyncio.gather(*[await producer.send(topic, value) for value in sent])
    assert sorted(one.value for one in await read(bootstrap, topic, len(sent))) == sorted(sent)


async def test_aiokafka_headers_and_times(bootstrap: str, raw: Raw, topic: str) -> None:
    """aiokafka reads key, value, headers and time as they were written."""
    await raw.made(topic)
    headers = [("a", b"1"), ("a", b"2"), ("ü", b"")]
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(topic, None, b"key", timestamp_ms=TIME, headers=headers)
    (found,) = await read(bootstrap, topic, 1)
    assert (found.key, found.value, found.timestamp) == (b"key", None, TIME)
    assert list(found.headers) == headers


async def test_aiokafka_offsets(bootstrap: str, raw: Raw, topic: str) -> None:
    """aiokafka finds the beginning, the end, and the record of a time, or none."""
    await raw.made(topic, 2)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for number in range(3):
            await producer.send_and_wait(topic, b"x", partition=0, timestamp_ms=TIME + number)
    full, empty = TopicPartition(topic, 0), TopicPartition(topic, 1)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        assert await consumer.beginning_offsets([full, empty]) == {full: 0, empty: 0}
        assert await consumer.end_offsets([full, empty]) == {full: 3, empty: 0}
        found = await consumer.offsets_for_times({full: TIME + 1, empty: 0})
    assert found[empty] is None
    assert (found[full].offset, found[full].timestamp) == (1, TIME + 1)


async def test_aiokafkas_admin(bootstrap: str, topic: str) -> None:
    """aiokafka's admin client makes, describes and deletes topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([KafkaTopic(topic, 2, 1, topic_configs={"retention.ms": "5"})])
        async with asyncio.timeout(DEADLINE):
            while topic not in await admin.list_topics():
                continue  # each look is a request of its own
        described = await admin.describe_topics([topic])
        assert len(described[0]["partitions"]) == 2
        await admin.delete_topics([topic])
        async with asyncio.timeout(DEADLINE):
            while topic in await admin.list_topics():
                continue
    finally:
        await admin.close()


def produced(bootstrap: str, topic: str, values: list[bytes], **more: object) -> list[Message]:
    """Write with confluent-kafka, and return what was acknowledged."""
    acknowledged: list[Message] = []

    def delivered(error: object, message: Message) -> None:
        assert error is None, error
        acknowledged.append(message)

    producer = Producer({"bootstrap.servers": bootstrap, **more})
    for value in values:
        producer.produce(topic, value, on_delivery=delivered)
        producer.poll(0)
    assert producer.flush(DEADLINE) == 0
    return acknowledged


def consumed(bootstrap: str, topic: str, partitions: int, count: int) -> list[bytes]:
    """Read so many values with confluent-kafka, from the beginning."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none"})
    consumer.assign([Place(topic, index, 0) for index in range(partitions)])
    found: list[bytes] = []
    end = time.monotonic() + DEADLINE
    while len(found) < count and time.monotonic() < end:
        for message in consumer.consume(count - len(found), 0.2):
            assert message.error() is None, message.error()
            found.append(message.value() or b"")
    consumer.close()
    return found


@pytest.mark.parametrize("codec", list(CODECS))
async def test_confluent(bootstrap: str, raw: Raw, topic: str, codec: str) -> None:
    """confluent-kafka reads what it wrote idempotently, with every codec."""
    await raw.made(topic, 2)
    sent = [b"value %d " % number * 20 for number in range(200)]
    how = {"compression.type": codec, "enable.idempotence": True}
    acknowledged = await asyncio.to_thread(lambda: produced(bootstrap, topic, sent, **how))
    assert len({(one.partition(), one.offset()) for one in acknowledged}) == len(sent)
    found = await asyncio.to_thread(consumed, bootstrap, topic, 2, len(sent))
    assert sorted(found) == sorted(sent)


@pytest.mark.parametrize("acks", ["0", "1", "all"])
async def test_confluent_acks(bootstrap: str, raw: Raw, topic: str, acks: str) -> None:
    """confluent-kafka writes with each kind of acknowledgement."""
    await raw.made(topic)
    sent = [b"%d" % number for number in range(50)]
    await asyncio.to_thread(lambda: produced(bootstrap, topic, sent, acks=acks))
    assert await asyncio.to_thread(consumed, bootstrap, topic, 1, len(sent)) == sent


def configs(admin: AdminClient, topic: ConfigResource) -> Mapping[str, ConfigEntry]:
    """Return a topic's configs."""
    found: Mapping[str, ConfigEntry] = admin.describe_configs([topic])[topic].result(DEADLINE)
    return found


async def test_confluents_admin(admin: AdminClient, raw: Raw, topic: str) -> None:
    """confluent-kafka's admin client makes, describes, changes and deletes topics."""

    def make() -> None:
        given = {"retention.ms": "5000", "message.timestamp.type": "LogAppendTime"}
        admin.create_topics([NewTopic(topic, 2, 1, config=given)])[topic].result(DEADLINE)

    def change() -> None:
        resource = ConfigResource(ResourceType.TOPIC, topic)
        before = configs(admin, resource)["retention.ms"]
        assert (before.value, before.source) == ("5000", 1)
        changes = ConfigResource(
            ResourceType.TOPIC,
            topic,
            incremental_configs=[
                _entry("cleanup.policy", "compact", AlterConfigOpType.SET),
                _entry("retention.ms", None, AlterConfigOpType.DELETE),
            ],
        )
        admin.incremental_alter_configs([changes])[changes].result(DEADLINE)
        end = time.monotonic() + DEADLINE
        while configs(admin, resource)["cleanup.policy"].value != "compact":
            assert time.monotonic() < end
        assert configs(admin, resource)["retention.ms"].source != 1
        admin.create_partitions([NewPartitions(topic, 5)])[topic].result(DEADLINE)

    def describe() -> None:
        place = Place(topic, 4)
        latest = admin.list_offsets({place: OffsetSpec.latest()})[place].result(DEADLINE)
        assert latest.offset == 0
        described = admin.describe_topics(TopicCollection([topic]))[topic].result(DEADLINE)
        assert (len(described.partitions), described.topic_id is None) == (5, False)
        assert len(admin.describe_cluster().result(DEADLINE).nodes) == 1
        admin.delete_topics([topic])[topic].result(DEADLINE)

    await asyncio.to_thread(make)
    await raw.usable(topic, 2)
    await asyncio.to_thread(change)
    await raw.usable(topic, 5)
    await asyncio.to_thread(describe)


def _entry(name: str, value: str | None, operation: AlterConfigOpType) -> ConfigEntry:
    return ConfigEntry(name, value, incremental_operation=operation)


async def test_confluent_deletes_records(
    admin: AdminClient, bootstrap: str, raw: Raw, topic: str
) -> None:
    """confluent-kafka's admin client deletes the records before an offset."""
    await raw.made(topic)

    def run() -> int:
        produced(bootstrap, topic, [b"a", b"b", b"c"])
        place = Place(topic, 0, 2)
        deleted = admin.delete_records([place], request_timeout=5)[place].result(DEADLINE)
        low: int = deleted.low_watermark
        return low

    try:
        assert await asyncio.to_thread(run) == 2
    except KafkaException as error:
        raise AssertionError(error) from error


def kcat_says(kcat: str, bootstrap: str, *arguments: str, given: str = "") -> str:
    """Run kcat, and return what it writes."""
    done = subprocess.run(
        [kcat, "-b", bootstrap, *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("codec", list(CODECS))
async def test_kcat(bootstrap: str, raw: Raw, kcat: str, topic: str, codec: str) -> None:
    """kcat reads what it wrote, with every codec."""
    await raw.made(topic)
    lines = "".join(f"key {n}:value {n}\n" for n in range(100))
    write = ("-P", "-t", topic, "-K:", "-z", codec)
    await asyncio.to_thread(kcat_says, kcat, bootstrap, *write, given=lines)
    whole = ("-C", "-t", topic, "-K:", "-e", "-q", "-o", "beginning")
    assert await asyncio.to_thread(kcat_says, kcat, bootstrap, *whole) == lines


async def test_kcat_lists(bootstrap: str, raw: Raw, kcat: str, topic: str) -> None:
    """kcat lists topics, and finds the record of a time."""
    await raw.made(topic, 2)
    await raw.produce(topic, batch(b"a", b"b", b"c"))
    listed = await asyncio.to_thread(kcat_says, kcat, bootstrap, "-L", "-t", topic)
    assert f'topic "{topic}" with 2 partitions' in listed
    asked = ("-Q", "-t", f"{topic}:0:{TIME + 1}")
    found = await asyncio.to_thread(kcat_says, kcat, bootstrap, *asked)
    assert found.split() == [topic, "[0]", "offset", "1"]
