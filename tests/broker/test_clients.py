"""Real clients, unmodified, where the embedded broker fails or lacks something."""

import asyncio
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey, Broker, Fail, Fault
from bus.settings import KafkaSettings

pytestmark = pytest.mark.slow

DEADLINE = 20.0  # seconds, after which a test fails instead of hanging


@pytest.fixture
def admin(fresh: KafkaSettings) -> AdminClient:
    """An administrator's client."""
    return AdminClient({"bootstrap.servers": fresh.bootstrap})


async def create(admin: AdminClient, name: str) -> None:
    """Make a topic."""
    wanted = NewTopic(name, 1, 1)
    await asyncio.to_thread(admin.create_topics([wanted])[name].result, DEADLINE)


async def by_aiokafka(bootstrap: str) -> int:
    """Write ten batches with aiokafka and return the offset of the last."""
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, retry_backoff_ms=10
    ) as producer:
        receipts = [await producer.send_and_wait("t", b"%d" % number) for number in range(10)]
    return int(receipts[-1].offset)


async def by_confluent(bootstrap: str) -> int:
    """Write ten batches with confluent-kafka and return the offset of the last."""
    offsets: list[int] = []

    def delivered(error: KafkaError | None, message: object) -> None:
        assert error is None, error
        offsets.append(message.offset())  # type: ignore[attr-defined]

    def run() -> int:
        producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "retry.backoff.ms": 10,
                "linger.ms": 0,
            }
        )
        for number in range(10):
            producer.produce("t", b"%d" % number, on_delivery=delivered)
            producer.poll(0.01)
        assert producer.flush(DEADLINE) == 0
        return max(offsets)

    return await asyncio.to_thread(run)


@pytest.mark.parametrize("write", [by_aiokafka, by_confluent])
@pytest.mark.parametrize(
    "fault",
    [
        Fault.DROP_CONNECTION_AFTER_COMMIT,
        Fault.DROP_CONNECTION_BEFORE,
        Fault.COMMIT_FULL,
        Fail(ErrorCode.kafka_storage_error),
    ],
    ids=["answer lost", "request lost", "disk full once", "storage error once"],
)
async def test_a_fault_is_retried_and_every_batch_is_stored_once(
    broker: Broker,
    fresh: KafkaSettings,
    admin: AdminClient,
    write: Callable[[str], "asyncio.Future[int]"],
    fault: Fault | Fail,
) -> None:
    await create(admin, "t")
    broker.faults.arrange(ApiKey.PRODUCE, fault)
    assert await write(fresh.bootstrap) == 9


async def test_a_client_waits_while_the_database_is_full_and_goes_on(
    fresh: KafkaSettings, admin: AdminClient, broker: Broker
) -> None:
    await create(admin, "t")
    store = broker._engine._store  # type: ignore[union-attr]
    async with AIOKafkaProducer(
        bootstrap_servers=fresh.bootstrap, enable_idempotence=True
    ) as producer:
        await producer.send_and_wait("t", b"before")
        store._db.execute("pragma max_page_count = 1")  # as many as there are
        waiting = await producer.send("t", b"x" * 2**19)
        async with asyncio.timeout(DEADLINE):
            while not broker._engine._writer._trouble:  # type: ignore[union-attr]
                await asyncio.wait([waiting], timeout=0.01)
            assert "disk is full" in broker._engine._writer._trouble  # type: ignore[union-attr]
            assert not waiting.done()
            store._db.execute("pragma max_page_count = 1000000")
            assert (await waiting).offset == 1
        assert (await producer.send_and_wait("t", b"after")).offset == 2
