"""What the producer promises, with a broker on which things go wrong."""

import asyncio
import time
from pathlib import Path

import pytest
from kio.schema.errors import ErrorCode

import bus.kafka.producer as module
from bus.admin import Admin, TopicSpec
from bus.broker import Broker
from bus.broker.faults import AnyFault, Delay, Fail, Fault
from bus.broker.keys import ApiKey
from bus.errors import (
    BusUnavailable,
    EventTooLarge,
    InvalidSettings,
    NotFound,
    OutcomeUnknown,
    StorageFull,
)
from bus.kafka import LARGEST_BATCH, Producer, Record
from bus.settings import KafkaSettings
from tests.city import records
from tests.engine import on_embedded

pytestmark = pytest.mark.slow

TOPIC = "test.topic.v1"


@pytest.fixture
async def topic(bare: KafkaSettings) -> str:
    async with Admin(bare) as admin:
        await admin.ensure_topic(TopicSpec(name=TOPIC, partitions=2))
    return TOPIC


def batch(*values: str) -> list[Record]:
    return [Record(b"key", value.encode(), [("name", b"value")]) for value in values]


async def values(kafka: KafkaSettings) -> list[str]:
    return [(record.value or b"").decode() for record in await records(kafka, TOPIC)]


async def test_a_batch_is_written_as_it_was_given(bare: KafkaSettings, topic: str) -> None:
    given = [Record(b"key", b"value", [("a", b"1"), ("a", b"")]), Record(b"key", None)]
    async with Producer(bare) as producer:
        assert await producer.append(topic, 1, given) == 0
        assert await producer.append(topic, 1, given) == 2
    found = await records(bare, topic)
    assert [r.offset for r in found] == [0, 1, 2, 3]
    assert [Record(r.key, r.value, list(r.headers)) for r in found[:2]] == [
        Record(b"key", b"value", [("a", b"1"), ("a", b"")]),
        Record(b"key", None, []),
    ]


@on_embedded
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault.DROP_CONNECTION_BEFORE, id="the connection is lost before"),
        pytest.param(Fault.DROP_CONNECTION_AFTER_COMMIT, id="the answer is lost"),
        pytest.param(Fault.COMMIT_FULL, id="the disk is full for a moment"),
        pytest.param(Fail(ErrorCode.not_enough_replicas), id="replicas are missing for a moment"),
    ],
)
async def test_what_passes_is_written_once_and_in_order(
    broker: Broker, bare: KafkaSettings, topic: str, fault: AnyFault
) -> None:
    async with Producer(bare) as producer:
        await producer.append(topic, 0, batch("1"))
        broker.faults.arrange(ApiKey.PRODUCE, fault)
        await asyncio.gather(
            producer.append(topic, 0, batch("2", "3")), producer.append(topic, 0, batch("4"))
        )
    assert await values(bare) == ["1", "2", "3", "4"]


@on_embedded
@pytest.mark.parametrize(
    ("code", "error"),
    [
        pytest.param(ErrorCode.message_too_large, EventTooLarge, id="too large"),
        pytest.param(ErrorCode.out_of_order_sequence_number, OutcomeUnknown, id="out of order"),
        pytest.param(ErrorCode.unknown_producer_id, OutcomeUnknown, id="producer forgotten"),
    ],
)
async def test_a_refused_batch_does_not_stop_the_next_one(
    broker: Broker,
    bare: KafkaSettings,
    topic: str,
    code: ErrorCode,
    error: type[Exception],
) -> None:
    async with Producer(bare) as producer:
        await producer.append(topic, 0, batch("1"))
        broker.faults.arrange(ApiKey.PRODUCE, Fail(code))
        refused = batch("2")
        with pytest.raises(error):
            await producer.append(topic, 0, refused)
        await producer.append(topic, 0, refused)
        await producer.append(topic, 0, batch("3"))
    assert await values(bare) == ["1", "2", "3"]


@on_embedded
async def test_without_an_answer_the_outcome_is_unknown_and_nothing_overtakes(
    broker: Broker, bare: KafkaSettings, topic: str
) -> None:
    release = asyncio.Event()
    async with Producer(bare) as producer:
        await producer.append(topic, 0, batch("1"))
        broker.faults.arrange(ApiKey.PRODUCE, Delay(release))
        held = batch("2")
        with pytest.raises(OutcomeUnknown):
            await producer.append(topic, 0, held, timeout=0.05)
        with pytest.raises(BusUnavailable, match="nothing was sent"):
            await producer.append(topic, 0, batch("3"), timeout=0.05)
        waiting = asyncio.create_task(producer.append(topic, 0, held))
        release.set()
        assert await waiting == 1
        await producer.append(topic, 0, batch("3"))
    assert await values(bare) == ["1", "2", "3"]


@on_embedded
async def test_a_cancelled_call_does_not_disturb_the_order(
    broker: Broker, bare: KafkaSettings, topic: str
) -> None:
    release = asyncio.Event()
    async with Producer(bare) as producer:
        await producer.append(topic, 0, batch("1"))
        broker.faults.arrange(ApiKey.PRODUCE, Delay(release))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(producer.append(topic, 0, batch("2")), 0.05)
        release.set()
        await producer.append(topic, 0, batch("3"))
    assert await values(bare) == ["1", "2", "3"]


@on_embedded
async def test_a_full_disk_is_named(broker: Broker, bare: KafkaSettings, topic: str) -> None:
    async with Producer(bare) as producer:
        for _ in range(100):
            broker.faults.arrange(ApiKey.PRODUCE, Fail(ErrorCode.kafka_storage_error))
        with pytest.raises(StorageFull):
            await producer.append(topic, 0, batch("1"), timeout=0.3)
        while broker.faults.take(ApiKey.PRODUCE):
            pass


@on_embedded
async def test_closing_does_not_wait_for_ever(
    broker: Broker, bare: KafkaSettings, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLOSING", 0.2)
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    release = asyncio.Event()
    producer = Producer(bare)
    await producer.start()
    await producer.append(topic, 0, batch("1"))
    broker.faults.arrange(ApiKey.PRODUCE, Delay(release))
    with pytest.raises(OutcomeUnknown):
        await producer.append(topic, 0, batch("2"), timeout=0.05)
    before = time.monotonic()
    await producer.stop()
    assert time.monotonic() - before < 3
    release.set()
    assert not told, "closing is no error"


async def test_a_producer_is_replaced_before_its_numbers_wrap(
    bare: KafkaSettings, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECORDS_PER_PRODUCER", 4)
    async with Producer(bare) as producer:
        for number in range(6):
            await producer.append(topic, 0, batch(f"{number}a", f"{number}b"))
    assert await values(bare) == [f"{n}{x}" for n in range(6) for x in "ab"]


async def test_a_batch_above_the_limit_is_refused_before_it_is_sent(
    bare: KafkaSettings, topic: str
) -> None:
    async with Producer(bare) as producer:
        with pytest.raises(EventTooLarge, match="the event is above"):
            await producer.append(topic, 0, [Record(b"key", bytes(LARGEST_BATCH))])
        with pytest.raises(EventTooLarge, match="a batch of 3 events"):
            await producer.append(topic, 0, [Record(b"key", bytes(LARGEST_BATCH // 2))] * 3)
        await producer.append(topic, 0, batch("1"))
    assert await values(bare) == ["1"]


async def test_writing_makes_no_topic(bare: KafkaSettings) -> None:
    async with Producer(bare) as producer, Admin(bare) as admin:
        with pytest.raises(NotFound, match="does not exist"):
            await producer.append("test.other.v1", 0, batch("1"))
        with pytest.raises(NotFound):
            await producer.partitions("test.other.v1")
        assert "test.other.v1" not in await admin.topics()


async def test_a_partition_that_is_not_there(bare: KafkaSettings, topic: str) -> None:
    async with Producer(bare) as producer:
        with pytest.raises(NotFound, match="partition 2 of 2"):
            await producer.append(topic, 2, batch("1"))


async def test_an_unreachable_broker_is_named() -> None:
    with pytest.raises(BusUnavailable, match=r"127\.0\.0\.1:1: no broker answers"):
        await Producer(KafkaSettings(bootstrap="127.0.0.1:1")).start()


@pytest.mark.parametrize(
    ("given", "where"),
    [
        pytest.param({}, "kafka.username", id="no user"),
        pytest.param({"username": "u"}, "kafka.password_file", id="no password"),
        pytest.param(
            {"username": "u", "password_file": Path("/nowhere/at/all")},
            "kafka.password_file, /nowhere/at/all",
            id="no such file",
        ),
    ],
)
async def test_a_login_needs_user_and_password(given: dict[str, object], where: str) -> None:
    settings = KafkaSettings.model_validate({"security_protocol": "SASL_SSL", **given})
    with pytest.raises(InvalidSettings) as caught:
        await Producer(settings).start()
    assert caught.value.where == where
