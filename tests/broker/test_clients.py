"""Real clients, unmodified: aiokafka, confluent-kafka (librdkafka) and kcat."""

import asyncio
import subprocess
import time
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin import NewTopic as KafkaTopic
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
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey, Broker, Fail, Fault
from bus.broker.configs import TOPIC_CONFIGS
from bus.settings import KafkaSettings
from tests.broker.raw import CODECS

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


async def test_aiokafka_reads_what_it_wrote_idempotently(
    fresh: KafkaSettings, admin: AdminClient
) -> None:
    await create(admin, "t", 3)
    sent = [b"%d" % number for number in range(500)]
    async with AIOKafkaProducer(
        bootstrap_servers=fresh.bootstrap, enable_idempotence=True
    ) as producer:
        await asyncio.gather(*[await producer.send("t", value) for value in sent])
    async with AIOKafkaConsumer(
        "t", bootstrap_servers=fresh.bootstrap, auto_offset_reset="earliest"
    ) as consumer:
        found: list[bytes] = []
        async with asyncio.timeout(DEADLINE):
            while len(found) < len(sent):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += [record.value for record in records]
    assert sorted(found) == sorted(sent)


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


async def test_aiokafkas_admin(fresh: KafkaSettings) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=fresh.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([KafkaTopic("t", 2, 1, topic_configs={"retention.ms": "5"})])
        described = await admin.describe_topics(["t"])
        assert len(described[0]["partitions"]) == 2
        await admin.delete_topics(["t"])
        assert await admin.list_topics() == []
    finally:
        await admin.close()


@pytest.mark.parametrize("codec", list(CODECS))
async def test_confluent_writes_and_reads_each_codec(
    fresh: KafkaSettings, admin: AdminClient, codec: str
) -> None:
    await create(admin, "t", 2)
    sent = [b"value %d " % number * 20 for number in range(200)]

    def run() -> list[bytes]:
        producer = Producer(
            {
                "bootstrap.servers": fresh.bootstrap,
                "compression.type": codec,
                "enable.idempotence": True,
            }
        )
        for value in sent:
            producer.produce("t", value)
        assert producer.flush(DEADLINE) == 0
        consumer = Consumer(
            {
                "bootstrap.servers": fresh.bootstrap,
                "group.id": "g",
                "auto.offset.reset": "earliest",
            }
        )
        consumer.subscribe(["t"])
        found = consumed(consumer, len(sent))
        consumer.commit(asynchronous=False)
        consumer.close()
        return found

    assert sorted(await asyncio.to_thread(run)) == sorted(sent)


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


async def test_confluents_admin(fresh: KafkaSettings, admin: AdminClient) -> None:
    await create(admin, "t", 2, retention_ms="5000", message_timestamp_type="LogAppendTime")
    topic = ConfigResource(ResourceType.TOPIC, "t")

    def configs() -> dict[str, ConfigEntry]:
        return dict(admin.describe_configs([topic])[topic].result(DEADLINE))

    def run() -> None:
        found = configs()
        assert set(found) == set(TOPIC_CONFIGS)
        assert (found["retention.ms"].value, found["retention.ms"].source) == ("5000", 1)
        assert (found["cleanup.policy"].value, found["cleanup.policy"].source) == ("delete", 5)
        change = ConfigResource(
            ResourceType.TOPIC,
            "t",
            incremental_configs=[
                ConfigEntry(
                    "cleanup.policy", "compact", incremental_operation=AlterConfigOpType.SET
                ),
                ConfigEntry("retention.ms", None, incremental_operation=AlterConfigOpType.DELETE),
            ],
        )
        admin.incremental_alter_configs([change])[change].result(DEADLINE)
        found = configs()
        assert found["cleanup.policy"].value == "compact"
        assert found["retention.ms"].value == "604800000"
        admin.create_partitions([NewPartitions("t", 5)])["t"].result(DEADLINE)
        assert len(admin.list_topics("t", DEADLINE).topics["t"].partitions) == 5
        place = Place("t", 0)
        latest = admin.list_offsets({place: OffsetSpec.latest()})[place].result(DEADLINE)
        assert latest.offset == 0
        cluster = admin.describe_cluster().result(DEADLINE)
        assert (len(cluster.nodes), cluster.controller.id) == (1, 1)
        described = admin.describe_topics(_names(["t"]))["t"].result(DEADLINE)
        assert described.topic_id is not None

    await asyncio.to_thread(run)


def _names(names: list[str]) -> object:
    from confluent_kafka import TopicCollection

    return TopicCollection(names)


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


@pytest.mark.parametrize("codec", list(CODECS))
async def test_kcat_writes_and_reads_each_codec(
    fresh: KafkaSettings, admin: AdminClient, kcat: str, codec: str
) -> None:
    await create(admin, "t")
    lines = "".join(f"key {n}:value {n}\n" for n in range(100))

    def run(*arguments: str, given: str = "") -> str:
        command = [kcat, "-b", fresh.bootstrap, "-t", "t", *arguments]
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    await asyncio.to_thread(run, "-P", "-K:", "-z", codec, given=lines)
    assert await asyncio.to_thread(run, "-C", "-K:", "-e", "-q", "-o", "beginning") == lines


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


async def test_a_partition_without_records_has_no_offset_for_a_time(
    fresh: KafkaSettings, admin: AdminClient
) -> None:
    await create(admin, "t")
    async with AIOKafkaConsumer(bootstrap_servers=fresh.bootstrap) as consumer:
        place = TopicPartition("t", 0)
        assert await consumer.offsets_for_times({place: 0}) == {place: None}


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
