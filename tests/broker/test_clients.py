"""Real clients, unmodified: aiokafka, confluent-kafka (librdkafka) and kcat."""

import asyncio
import subprocess
import time
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
)
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import (
    AdminClient,
    NewTopic,
)
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey, Broker, Fail, Fault
from bus.settings import KafkaSettings

pytestmark = pytest.mark.slow

DEADLINE = 20.0  # seconds, after which a test fails instead of hanging


@pytest.fixture
def admin(fresh: KafkaSettings) -> AdminClient:
    """An administrator's client."""
    return AdminClient({"bootstrap.servers": fresh.bootstrap})


async def create(admin: AdminClient, name: str, partitions: int = 1, **configs: str) -> None:
    """Make a topic."""
    config = {key.replace("_", "."): value for key, value in configs.items()}
    wanted = NewTopic(name, partitions, 1, config=config)
    await asyncio.to_thread(admin.create_topics([wanted])[name].result, DEADLINE)


def consumed(consumer: Consumer, count: int) -> list[bytes]:
    """Read so many records."""
    found: list[bytes] = []
    deadline = time.monotonic() + DEADLINE
    while len(found) < count and time.monotonic() < deadline:
        for message in consumer.consume(count - len(found), 0.2):
            assert message.error() is None, message.error()
            found.append(message.value())
    return found


async def test_an_aiokafka_group_that_rebalances_in_mid_stream_misses_nothing(
    fresh: KafkaSettings, admin: AdminClient
) -> None:
    await create(admin, "t", 4)
    sent = {b"%d" % number for number in range(400)}
    seen: set[bytes] = set()
    owners: dict[str, set[bytes]] = {"first": set(), "second": set()}

    async def consume(name: str) -> None:
        consumer = AIOKafkaConsumer(
            "t",
            bootstrap_servers=fresh.bootstrap,
            group_id="g",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            heartbeat_interval_ms=100,
        )
        async with consumer:
            while seen != sent:
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    values = {record.value for record in records}
                    owners[name] |= values
                    seen.update(values)
            await consumer.commit()

    async def produce() -> None:
        async with AIOKafkaProducer(bootstrap_servers=fresh.bootstrap) as producer:
            first = asyncio.create_task(consume("first"))
            tasks.append(first)
            for number, value in enumerate(sorted(sent)):
                await producer.send_and_wait("t", value, partition=number % 4)
                if number == 100:
                    tasks.append(asyncio.create_task(consume("second")))
                    async with asyncio.timeout(DEADLINE):
                        while not await _members(admin, "g", 2):
                            continue  # each look is a request of its own

    tasks: list[asyncio.Task[None]] = []
    async with asyncio.timeout(DEADLINE):
        await produce()
        await asyncio.gather(*tasks)
    assert seen == sent
    assert owners["second"]


async def _members(admin: AdminClient, group: str, count: int) -> bool:
    """Say whether a group is stable with so many members."""
    future = admin.describe_consumer_groups([group])[group]
    described = await asyncio.to_thread(future.result, DEADLINE)
    return len(described.members) == count and described.state.name == "STABLE"


def _read_up_to(pair: list[Consumer]) -> int:
    """Return how far a pair that shares four partitions has read, all in all."""
    if any(len(consumer.assignment()) != 2 for consumer in pair):
        return -1
    return sum(place.offset for c in pair for place in c.position(c.assignment()))


async def test_a_confluent_group_of_two_shares_partitions_and_keeps_positions(
    fresh: KafkaSettings, admin: AdminClient
) -> None:
    await create(admin, "t", 4)
    settings = {
        "bootstrap.servers": fresh.bootstrap,
        "group.id": "g",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "heartbeat.interval.ms": 200,
    }

    def run() -> tuple[int, int]:
        producer = Producer({"bootstrap.servers": fresh.bootstrap})
        for number in range(100):
            producer.produce("t", b"%d" % number, partition=number % 4)
        assert producer.flush(DEADLINE) == 0
        pair = [Consumer(settings), Consumer(settings)]
        for consumer in pair:
            consumer.subscribe(["t"])
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline and _read_up_to(pair) != 100:
            for consumer in pair:
                consumer.consume(50, 0.1)
        shares = [len(consumer.assignment()) for consumer in pair]
        for consumer in pair:
            consumer.commit(asynchronous=False)
            consumer.close()
        places = [Place("t", index) for index in range(4)]
        late = Consumer(settings)
        total = sum(place.offset for place in late.committed(places, timeout=DEADLINE))
        late.close()
        return min(shares), total

    assert await asyncio.to_thread(run) == (2, 100)


async def test_confluents_admin_of_groups(fresh: KafkaSettings, admin: AdminClient) -> None:
    await create(admin, "t")

    def run() -> None:
        place = ConsumerGroupTopicPartitions("g", [Place("t", 0, 7)])
        admin.alter_consumer_group_offsets([place])["g"].result(DEADLINE)
        listed = admin.list_consumer_groups().result(DEADLINE)
        assert [group.group_id for group in listed.valid] == ["g"]
        found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("g")])
        assert found["g"].result(DEADLINE).topic_partitions[0].offset == 7
        admin.delete_consumer_groups(["g"])["g"].result(DEADLINE)
        assert admin.list_consumer_groups().result(DEADLINE).valid == []

    await asyncio.to_thread(run)


async def test_confluent_is_told_at_once_that_there_are_no_transactions(
    fresh: KafkaSettings,
) -> None:
    def run() -> KafkaError:
        producer = Producer({"bootstrap.servers": fresh.bootstrap, "transactional.id": "me"})
        with pytest.raises(KafkaException) as refused:
            producer.init_transactions(DEADLINE)
        error: KafkaError = refused.value.args[0]
        return error

    error = await asyncio.to_thread(run)
    assert error.code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


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


async def test_kcat_groups_and_lists(fresh: KafkaSettings, admin: AdminClient, kcat: str) -> None:
    await create(admin, "t", 2)

    def run(*arguments: str, given: str = "") -> str:
        done = subprocess.run(
            [kcat, "-b", fresh.bootstrap, *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    await asyncio.to_thread(run, "-P", "-t", "t", given="one\ntwo\n")
    read = await asyncio.to_thread(
        run, "-G", "g", "-e", "-q", "-X", "auto.offset.reset=earliest", "t"
    )
    assert sorted(read.split()) == ["one", "two"]
    assert 'topic "t" with 2 partitions' in await asyncio.to_thread(run, "-L")


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
