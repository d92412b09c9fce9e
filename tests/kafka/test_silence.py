"""A broker that keeps its connections and says nothing is left after the time for an answer."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bus.admin import Admin, TopicSpec
from bus.broker import Broker
from bus.broker.faults import Delay
from bus.broker.keys import ApiKey
from bus.kafka import LogReader, Producer, Record
from bus.settings import KafkaSettings
from tests.waiting import until

pytestmark = pytest.mark.slow

TOPIC = "test.topic.v1"
PATIENCE = 5.0
"""Seconds in which a client has got through; without a limit of its own it would take 40."""


@pytest.fixture
async def impatient(fresh: KafkaSettings) -> KafkaSettings:
    async with Admin(fresh) as admin:
        await admin.ensure_topic(TopicSpec(name=TOPIC, partitions=1))
    return fresh.model_copy(update={"answer_seconds": 1.0})


@pytest.fixture
async def silence(broker: Broker) -> AsyncIterator[asyncio.Event]:
    """What ends the silence, at the end of the test if not before."""
    ended = asyncio.Event()
    yield ended
    ended.set()


async def values(kafka: KafkaSettings) -> list[bytes | None]:
    async with LogReader(kafka) as reader:
        end = (await reader.bounds(TOPIC))[0][1]
        found: list[bytes | None] = []
        while len(found) < end:
            found += [record.value for record in await reader.read(TOPIC, 0, len(found))]
        return found


async def test_a_batch_is_sent_again_and_written_once(
    broker: Broker, impatient: KafkaSettings, silence: asyncio.Event
) -> None:
    async with Producer(impatient) as producer:
        await producer.append(TOPIC, 0, [Record(None, b"1")])
        broker.faults.arrange(ApiKey.PRODUCE, Delay(silence))
        await producer.append(TOPIC, 0, [Record(None, b"2")], timeout=PATIENCE)
        silence.set()
        await producer.append(TOPIC, 0, [Record(None, b"3")], timeout=PATIENCE)
    assert await values(impatient) == [b"1", b"2", b"3"]


@pytest.mark.parametrize(
    "api",
    [
        pytest.param(ApiKey.FETCH, id="for records"),
        pytest.param(ApiKey.LIST_OFFSETS, id="for the bounds"),
    ],
)
async def test_a_reader_asks_again(
    broker: Broker, impatient: KafkaSettings, silence: asyncio.Event, api: ApiKey
) -> None:
    async with Producer(impatient) as producer:
        await producer.append(TOPIC, 0, [Record(None, b"1")])
    broker.faults.arrange(api, Delay(silence))
    async with asyncio.timeout(PATIENCE):
        assert await values(impatient) == [b"1"]


async def test_who_gave_up_on_a_silent_leader_asks_who_leads(
    broker: Broker, fresh: KafkaSettings, impatient: KafkaSettings, silence: asyncio.Event
) -> None:
    async with LogReader(fresh) as reader:
        await reader.bounds(TOPIC)
        for api in (ApiKey.LIST_OFFSETS, ApiKey.METADATA):
            broker.faults.arrange(api, Delay(silence))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.bounds(TOPIC), 0.2)
        silence.set()
        await until(lambda: not broker.faults._next[ApiKey.METADATA])
