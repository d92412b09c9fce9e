"""Reading partitions from positions."""

import asyncio

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.metadata import MetadataRequest
from confluent_kafka import Producer as Transactional
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

import bus.broker.writer as engine
from bus.admin import Admin, TopicSpec
from bus.broker import Broker
from bus.broker.faults import Fault
from bus.broker.keys import ApiKey
from bus.broker.partition import Partition
from bus.errors import BusUnavailable, NotFound, PositionLost
from bus.kafka import LogReader, Producer, Record
from bus.settings import KafkaSettings
from bus.telemetry import Telemetry
from tests.broker.raw import Raw
from tests.engine import on_embedded
from tests.kafka.batches import record, sealed

TOPIC = "test.topic.v1"


@pytest.fixture
async def topic(bare: KafkaSettings) -> str:
    """A topic of two partitions with three records in the first."""
    async with Admin(bare) as admin, Producer(bare) as producer:
        await admin.ensure_topic(TopicSpec(name=TOPIC, partitions=2))
        await producer.append(TOPIC, 0, [Record(b"k", bytes([n])) for n in range(3)])
    return TOPIC


async def test_bounds(bare: KafkaSettings, topic: str) -> None:
    async with LogReader(bare) as reader:
        assert await reader.bounds(topic) == {0: (0, 3), 1: (0, 0)}
        with pytest.raises(NotFound):
            await reader.bounds("test.other.v1")


async def test_whether_a_topic_exists(bare: KafkaSettings, topic: str) -> None:
    async with LogReader(bare) as reader:
        found = [await reader.exists(one) for one in (topic, "test.other.v1", topic)]
    assert found == [True, False, True]
    async with Admin(bare) as admin:
        assert "test.other.v1" not in await admin.topics()


@on_embedded
async def test_one_topic_is_asked_for_alone(
    bare: KafkaSettings, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for: list[object] = []
    send = AIOKafkaClient.send

    async def noted(client: AIOKafkaClient, node: int, request: object) -> object:
        if isinstance(request, MetadataRequest):
            asked_for.append(request._topics)
        return await send(client, node, request)

    monkeypatch.setattr(AIOKafkaClient, "send", noted)
    async with LogReader(bare) as reader:
        await reader.bounds(topic)
    assert asked_for == [[topic]]


def asked(telemetry: Telemetry, outcome: str = "ok") -> float:
    labels = {"api": "list_offsets", "outcome": outcome}
    return telemetry.registry.get_sample_value("stadtbus_requests_total", labels) or 0.0


@on_embedded
async def test_bounds_take_one_request_for_each_kind(
    bare: KafkaSettings, telemetry: Telemetry
) -> None:
    async with Admin(bare) as admin, LogReader(bare) as reader, Producer(bare) as producer:
        await admin.ensure_topic(TopicSpec(name=TOPIC, partitions=50))
        await producer.append(TOPIC, 49, [Record(b"k", b"v")])
        assert await reader.bounds(TOPIC) == dict.fromkeys(range(49), (0, 0)) | {49: (0, 1)}
        assert asked(telemetry) == 2
        await reader.bounds(TOPIC)
        assert asked(telemetry) == 4


@on_embedded
async def test_bounds_survive_a_lost_connection(
    broker: Broker, bare: KafkaSettings, topic: str
) -> None:
    async with LogReader(bare) as reader:
        for fault in (Fault.DROP_CONNECTION_BEFORE, Fault.DROP_CONNECTION_AFTER_COMMIT):
            broker.faults.arrange(ApiKey.LIST_OFFSETS, fault)
            assert await reader.bounds(topic) == {0: (0, 3), 1: (0, 0)}


@on_embedded
async def test_a_partition_without_an_answer_is_asked_again_by_itself(
    broker: Broker,
    bare: KafkaSettings,
    topic: str,
    telemetry: Telemetry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert broker._engine is not None
    topics = broker._engine.topics
    find, unknown = topics.partition, iter([None, None])

    def partition(name: str, index: int) -> Partition | None:
        return next(unknown, find(name, index)) if index == 1 else find(name, index)

    async with LogReader(bare) as reader:
        monkeypatch.setattr(topics, "partition", partition)
        assert await reader.bounds(topic) == {0: (0, 3), 1: (0, 0)}
    assert (asked(telemetry, "error"), asked(telemetry)) == (2, 2)


async def test_reading_begins_at_the_offset_in_the_middle_of_a_batch(
    bare: KafkaSettings, topic: str
) -> None:
    async with LogReader(bare) as reader:
        assert [(r.offset, r.value) for r in await reader.read(topic, 0, 1)] == [
            (1, b"\x01"),
            (2, b"\x02"),
        ]


async def test_at_the_end_there_is_nothing_and_then_what_comes(
    bare: KafkaSettings, topic: str
) -> None:
    async with LogReader(bare) as reader, Producer(bare) as producer:
        assert await reader.read(topic, 0, 3, max_wait=0.05) == []
        waiting = asyncio.create_task(reader.read(topic, 0, 3, max_wait=10))
        await producer.append(topic, 0, [Record(b"k", b"new")])
        assert [r.value for r in await waiting] == [b"new"]


@pytest.mark.parametrize("offset", [4, 1000])
async def test_an_offset_outside_is_a_lost_position(
    bare: KafkaSettings, topic: str, offset: int
) -> None:
    async with LogReader(bare) as reader:
        with pytest.raises(PositionLost):
            await reader.read(topic, 0, offset, max_wait=0)


async def test_it_reads_on_where_the_first_records_were_deleted(
    bare: KafkaSettings, topic: str
) -> None:
    await asyncio.to_thread(delete_before, bare, topic, 2)
    async with LogReader(bare) as reader:
        assert [(r.offset, r.value) for r in await reader.read(topic, 0, 2)] == [(2, b"\x02")]


async def test_what_was_taken_back_is_not_read(bare: KafkaSettings, topic: str) -> None:
    await asyncio.to_thread(delete_before, bare, topic, 1)
    await asyncio.to_thread(take_back, bare, topic)
    async with LogReader(bare) as reader, Producer(bare) as producer:
        last = await producer.append(topic, 0, [Record(b"k", b"after")])
        found = [(r.offset, r.value) for r in await reader.read(topic, 0, 1)]
        assert found == [(1, b"\x01"), (2, b"\x02"), (last, b"after")]


def delete_before(kafka: KafkaSettings, topic: str, offset: int) -> None:
    client = AdminClient({"bootstrap.servers": kafka.bootstrap})
    for gone in client.delete_records([TopicPartition(topic, 0, offset)]).values():
        gone.result(10)


def take_back(kafka: KafkaSettings, topic: str) -> None:
    producer = Transactional({"bootstrap.servers": kafka.bootstrap, "transactional.id": "taken"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"taken back", partition=0)
    producer.flush(30)
    producer.abort_transaction(30)


async def test_offset_at_a_time(bare: KafkaSettings, topic: str) -> None:
    async with LogReader(bare) as reader:
        appended = (await reader.read(topic, 0, 0))[0].timestamp_ms
        assert await reader.offset_at(topic, 0, appended) == 0
        assert await reader.offset_at(topic, 0, appended + 60_000) is None


async def test_an_unreachable_broker_is_named() -> None:
    with pytest.raises(BusUnavailable, match=r"127\.0\.0\.1:1: no broker answers"):
        await LogReader(KafkaSettings(bootstrap="127.0.0.1:1")).start()


@on_embedded
async def test_what_cannot_be_decoded_is_said_and_reading_goes_on(
    broker: Broker, bare: KafkaSettings, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On an engine that does not look into what it is given."""
    monkeypatch.setattr(engine, "admitted", lambda batch, header, *_, **__: (batch, header))
    lie = sealed(b"garbage", 4, flags=1)
    async with await Raw.to(broker) as raw:
        for batch in (sealed(record(0, header=b"\xff"), 1), lie, sealed(record(0), 1)):
            assert (await raw.produce(topic, batch)).error_code == 0
    async with LogReader(bare) as reader:
        found = await reader.read(topic, 0, 0)
        assert [r.offset for r in found] == [0, 1, 2, 3, 7, 8]
        assert [bool(r.fault) for r in found] == [False] * 3 + [True, True, False]
        assert [r.is_batch for r in found[3:]] == [False, True, False]
        assert (found[4].value or b"")[-7:] == b"garbage"
        # As `stadtbus group lag` reads: from where a group is.
        assert (await reader.read(topic, 0, 6))[0].offset == 7
