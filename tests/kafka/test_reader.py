"""Reading partitions from positions."""

import asyncio

import pytest

from bus.admin import Admin, TopicSpec
from bus.errors import BusUnavailable, NotFound, PositionLost
from bus.kafka import LogReader, Producer, Record
from bus.settings import KafkaSettings

TOPIC = "test.topic.v1"


@pytest.fixture
async def topic(kafka: KafkaSettings) -> str:
    """A topic of two partitions with three records in the first."""
    async with Admin(kafka) as admin, Producer(kafka) as producer:
        await admin.ensure_topic(TopicSpec(name=TOPIC, partitions=2))
        await producer.append(TOPIC, 0, [Record(b"k", bytes([n])) for n in range(3)])
    return TOPIC


async def test_bounds(kafka: KafkaSettings, topic: str) -> None:
    async with LogReader(kafka) as reader:
        assert await reader.bounds(topic) == {0: (0, 3), 1: (0, 0)}
        with pytest.raises(NotFound):
            await reader.bounds("test.other.v1")


async def test_reading_begins_at_the_offset_in_the_middle_of_a_batch(
    kafka: KafkaSettings, topic: str
) -> None:
    async with LogReader(kafka) as reader:
        assert [(r.offset, r.value) for r in await reader.read(topic, 0, 1)] == [
            (1, b"\x01"),
            (2, b"\x02"),
        ]


async def test_at_the_end_there_is_nothing_and_then_what_comes(
    kafka: KafkaSettings, topic: str
) -> None:
    async with LogReader(kafka) as reader, Producer(kafka) as producer:
        assert await reader.read(topic, 0, 3, max_wait=0.05) == []
        waiting = asyncio.create_task(reader.read(topic, 0, 3, max_wait=10))
        await producer.append(topic, 0, [Record(b"k", b"new")])
        assert [r.value for r in await waiting] == [b"new"]


@pytest.mark.parametrize("offset", [4, 1000])
async def test_an_offset_outside_is_a_lost_position(
    kafka: KafkaSettings, topic: str, offset: int
) -> None:
    async with LogReader(kafka) as reader:
        with pytest.raises(PositionLost):
            await reader.read(topic, 0, offset, max_wait=0)


async def test_offset_at_a_time(kafka: KafkaSettings, topic: str) -> None:
    async with LogReader(kafka) as reader:
        appended = (await reader.read(topic, 0, 0))[0].timestamp_ms
        assert await reader.offset_at(topic, 0, appended) == 0
        assert await reader.offset_at(topic, 0, appended + 60_000) is None


async def test_an_unreachable_broker_is_named() -> None:
    with pytest.raises(BusUnavailable, match=r"127\.0\.0\.1:1: no broker answers"):
        await LogReader(KafkaSettings(bootstrap="127.0.0.1:1")).start()
