"""A producer that gets no acknowledgement says why, and that trying again may help."""

import asyncio

import pytest
from kio.schema.errors import ErrorCode

from bus.admin import Admin, TopicSpec
from bus.broker import Broker
from bus.broker.faults import Delay, Fail
from bus.broker.keys import ApiKey
from bus.errors import OutcomeUnknown
from bus.kafka import Producer, Record
from bus.settings import KafkaSettings

pytestmark = pytest.mark.slow

TOPIC = "test.topic.v1"
RECORDS = [Record(b"key", b"value")]


@pytest.fixture
async def topic(fresh: KafkaSettings) -> str:
    async with Admin(fresh) as admin:
        await admin.ensure_topic(TopicSpec(name=TOPIC, partitions=1))
    return TOPIC


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        pytest.param(
            ErrorCode.not_enough_replicas,
            r"fewer replicas are in sync than the topic asks for \(min\.insync\.replicas\)",
            id="the leader refuses, as too few replicas are in sync",
        ),
        pytest.param(
            ErrorCode.not_enough_replicas_after_append,
            r"fewer replicas are in sync than the topic asks for \(min\.insync\.replicas\)",
            id="too few replicas were in sync afterwards",
        ),
        pytest.param(
            ErrorCode.request_timed_out,
            "its leader waits for other replicas, and too few confirm",
            id="the leader has it, and the others do not answer it",
        ),
        pytest.param(
            ErrorCode.not_leader_or_follower,
            "the partition has no leader just now",
            id="nobody leads",
        ),
    ],
)
async def test_what_a_leader_answers_is_named(
    broker: Broker, fresh: KafkaSettings, topic: str, error: ErrorCode, sentence: str
) -> None:
    async with Producer(fresh) as producer:
        for _ in range(20):
            broker.faults.arrange(ApiKey.PRODUCE, Fail(error))
        with pytest.raises(OutcomeUnknown, match=sentence) as raised:
            await producer.append(topic, 0, RECORDS, timeout=0.5)
        assert raised.value.retriable
        await producer.append(topic, 0, RECORDS, timeout=10)


async def test_a_leader_that_says_nothing_is_named(
    broker: Broker, fresh: KafkaSettings, topic: str
) -> None:
    async with Producer(fresh) as producer:
        broker.faults.arrange(ApiKey.PRODUCE, Delay(until := asyncio.Event()))
        with pytest.raises(OutcomeUnknown, match=rf"its leader, {broker.address}, does not answer"):
            await producer.append(topic, 0, RECORDS, timeout=0.5)
        until.set()


async def test_what_went_wrong_before_is_no_cause(
    broker: Broker, fresh: KafkaSettings, topic: str
) -> None:
    async with Producer(fresh) as producer:
        broker.faults.arrange(ApiKey.PRODUCE, Fail(ErrorCode.not_enough_replicas))
        await producer.append(topic, 0, RECORDS)
        broker.faults.arrange(ApiKey.PRODUCE, Delay(until := asyncio.Event()))
        with pytest.raises(OutcomeUnknown, match=r"does not answer$"):
            await producer.append(topic, 0, RECORDS, timeout=0.5)
        until.set()
