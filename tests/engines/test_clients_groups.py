"""Clients: consumer groups by aiokafka, confluent-kafka, kcat and faust-streaming."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Consumer, ConsumerGroupState, ConsumerGroupTopicPartitions, Producer
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient
from kio.schema.errors import ErrorCode

from tests.broker.raw import DEADLINE, Raw
from tests.engine import Engine
from tests.engines import counting
from tests.engines.party import Party
from tests.engines.transactor import settled
from tests.waiting import until

pytestmark = pytest.mark.slow

SAID = "said.log"
"""Where the Faust application says what becomes of it."""


@pytest.fixture
def bootstrap(engine: Engine) -> str:
    """The engine's address, as clients want it."""
    return engine.settings.bootstrap


@pytest.fixture
def group(party: Party) -> str:
    """A group of its own, whose coordinator answers."""
    return party.group


@pytest.fixture
def admin(bootstrap: str) -> AdminClient:
    """confluent-kafka's client for administration."""
    return AdminClient({"bootstrap.servers": bootstrap})


async def test_aiokafka_in_mid_stream(bootstrap: str, raw: Raw, topic: str, party: Party) -> None:
    """An aiokafka group that rebalances in mid-stream misses nothing."""
    await raw.made(topic, 4)
    sent = {b"%d" % number for number in range(400)}
    seen: set[bytes] = set()
    owners: dict[str, set[bytes]] = {"first": set(), "second": set()}
    committed = asyncio.Barrier(2)  # who leaves makes the other's generation an old one

    async def consume(name: str) -> None:
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=bootstrap,
            group_id=party.group,
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
            await committed.wait()

    async with (
        asyncio.timeout(DEADLINE),
        AIOKafkaProducer(bootstrap_servers=bootstrap) as producer,
        asyncio.TaskGroup() as consumers,
    ):
        consumers.create_task(consume("first"))
        for number, value in enumerate(sorted(sent)):
            await producer.send_and_wait(topic, value, partition=number % 4)
            if number == 100:
                consumers.create_task(consume("second"))
                await until(lambda: party.has(members=2, state="Stable"))
    assert seen == sent
    assert owners["second"]


async def generation(party: Party) -> int:
    """Return the generation of a group's only member, who is static: the one it is told is right.

    Nobody is told it outright.
    """
    (known,) = (await party.describe()).members
    member = await party.member(known.group_instance_id)
    member.id = known.member_id
    for member.generation in range(100):
        if await member.beat() is ErrorCode.none:
            return member.generation
    raise AssertionError("it has no generation")


async def test_aiokafka_static_members(bootstrap: str, raw: Raw, topic: str, party: Party) -> None:
    """A static aiokafka member that is restarted gets its partitions back without a rebalance."""
    await raw.made(topic, 2)

    def member() -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            topic,
            bootstrap_servers=bootstrap,
            group_id=party.group,
            group_instance_id="north",
            enable_auto_commit=False,
        )

    ids: list[set[str]] = []
    generations: list[int] = []
    for _ in range(2):
        async with member() as consumer, asyncio.timeout(DEADLINE):
            assert len(consumer.assignment()) == 2
            described = await party.describe()
            assert described.group_state == "Stable"
            ids.append({one.member_id for one in described.members})
            generations.append(await generation(party))
    assert ids[0] != ids[1]
    assert generations[0] == generations[1]
    assert (await party.describe()).group_state == "Stable"
    gone = [{"member_id": "", "group_instance_id": "north", "reason": None}]
    await party.admin.ask(13, 5, group_id=party.group, members=gone)


def _read_up_to(pair: list[Consumer]) -> int:
    """Return how far a pair that shares four partitions has read, all in all."""
    if any(len(consumer.assignment()) != 2 for consumer in pair):
        return -1
    return sum(place.offset for c in pair for place in c.position(c.assignment()))


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "cooperative-sticky"])
async def test_confluent_shares(
    bootstrap: str, raw: Raw, topic: str, group: str, strategy: str
) -> None:
    """A confluent-kafka group of two shares the partitions and keeps its positions."""
    await raw.made(topic, 4)
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "heartbeat.interval.ms": 100,
        "partition.assignment.strategy": strategy,
    }

    def run() -> tuple[int, int]:
        producer = Producer({"bootstrap.servers": bootstrap})
        for number in range(100):
            producer.produce(topic, b"%d" % number, partition=number % 4)
        assert producer.flush(DEADLINE) == 0
        pair = [Consumer(settings), Consumer(settings)]
        for consumer in pair:
            consumer.subscribe([topic])
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline and _read_up_to(pair) != 100:
            for consumer in pair:
                consumer.consume(50, 0.1)
        shares = [len(consumer.assignment()) for consumer in pair]
        for consumer in pair:
            consumer.commit(asynchronous=False)
            consumer.close()
        places = [Place(topic, index) for index in range(4)]
        late = Consumer(settings)
        total = sum(place.offset for place in late.committed(places, timeout=DEADLINE))
        late.close()
        return min(shares), total

    assert await asyncio.to_thread(run) == (2, 100)


async def test_confluents_admin(admin: AdminClient, raw: Raw, topic: str, group: str) -> None:
    """confluent-kafka's admin client sets, lists and deletes a group's positions."""
    await raw.made(topic)

    def run() -> None:
        place = ConsumerGroupTopicPartitions(group, [Place(topic, 0, 7)])
        admin.alter_consumer_group_offsets([place])[group].result(DEADLINE)
        listed = admin.list_consumer_groups(states={ConsumerGroupState.EMPTY}).result(DEADLINE)
        assert group in {one.group_id for one in listed.valid}
        found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
        assert found[group].result(DEADLINE).topic_partitions[0].offset == 7
        described = admin.describe_consumer_groups([group])[group].result(DEADLINE)
        assert described.state is ConsumerGroupState.EMPTY
        admin.delete_consumer_groups([group])[group].result(DEADLINE)
        listed = admin.list_consumer_groups().result(DEADLINE)
        assert group not in {one.group_id for one in listed.valid}

    await asyncio.to_thread(run)


async def test_kcat(bootstrap: str, raw: Raw, topic: str, group: str, kcat: str) -> None:
    """kcat reads as a member of a group, and goes on where it was."""
    await raw.made(topic, 2)

    def run(*arguments: str, given: str = "") -> list[str]:
        done = subprocess.run(
            [kcat, "-b", bootstrap, *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return sorted(done.stdout.split())

    reading = ("-G", group, "-e", "-q", "-X", "auto.offset.reset=earliest", topic)
    for lines in ["one\ntwo\n", "three\n"]:
        await asyncio.to_thread(run, "-P", "-t", topic, given=lines)
        assert await asyncio.to_thread(run, *reading) == sorted(lines.split())


@contextmanager
def running(
    bootstrap: str, topic: str, folder: Path, guarantee: str
) -> Iterator[subprocess.Popen[str]]:
    """Run the Faust application; it leaves its group in order at the end."""
    folder.mkdir()
    asked = (bootstrap, topic, str(folder), guarantee)
    command = [sys.executable, "-m", "tests.engines.counting", *asked]
    with (
        (folder / SAID).open("w") as said,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True) as process,
    ):
        try:
            yield process
            process.terminate()
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()


def ready(process: subprocess.Popen[str]) -> None:
    """Return once the application has recovered its table.

    What Faust fetches before that it hands over while it seeks back to where it was: some of it
    reaches the agent twice, some never (on_recovery_completed in faust/tables/recovery.py).
    """
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.split() == [counting.READY], f"it said {line!r}; why is in {SAID}"


def counted(process: subprocess.Popen[str], wanted: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return once the application has counted so much: each key, and what it was at before."""
    assert process.stdout is not None
    came: list[tuple[str, int]] = []
    found: dict[str, int] = {}
    while found != wanted:
        line = process.stdout.readline()
        assert line, f"it ended after {came}; why is in {SAID}"
        match line.split():
            case [counting.COUNTED, key, before, number]:
                came.append((key, int(before)))
                assert int(number) == len(came)
                found[key] = int(before) + 1
    return came


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
async def test_faust(bootstrap: str, raw: Raw, topic: str, tmp_path: Path, guarantee: str) -> None:
    """A faust-streaming application recovers its table from the changelog, and counts on."""
    await raw.made(topic, counting.PARTITIONS)
    for run in (1, 2):
        # A folder of its own, so that nothing but the engine remembers the run before.
        with running(bootstrap, topic, tmp_path / f"run-{run}", guarantee) as process:
            late = asyncio.get_running_loop().call_later(3 * DEADLINE, process.kill)
            await asyncio.to_thread(ready, process)
            async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
                for number in range(10):
                    await producer.send_and_wait(topic, b"x", key=b"ab"[number % 2 :][:1])
            came = await asyncio.to_thread(counted, process, {"a": 5 * run, "b": 5 * run})
            late.cancel()
        if guarantee == "exactly_once":
            await settled(raw, f"{topic}.counting-counts-changelog")
        # Only what is new came, and for each key it went on where the run before had ended.
        assert sorted(came) == [(key, 5 * (run - 1) + n) for key in "ab" for n in range(5)]
