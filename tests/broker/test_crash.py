"""kill -9 under load: what was acknowledged is there, once, and in place."""

import asyncio
import random
import socket
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bus.settings import Address

CYCLES = 8
PARTITIONS = 3
SEED = 20261121
PLACES = [TopicPartition("t", partition) for partition in range(PARTITIONS)]


def unclaimed_port() -> int:
    """Return a free port that no client is given as its own.

    While the broker is down, its clients knock at its port; from a port of the range that they are
    given theirs from, one of them would sooner or later connect to itself and keep the port.
    """
    for port in range(21_000, 32_000):
        with socket.socket() as trial, suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


class Killed:
    """A broker that is killed and started again on the same folder and port."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.address = Address(host="127.0.0.1", port=unclaimed_port())
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it listens."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.broker.alone",
            str(self.data),
            str(self.address.port),
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(20):
            line = await self._process.stdout.readline()
        self.address = Address.parse(line.decode().strip())

    async def kill(self) -> None:
        """End it without any warning."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def broker_to_kill(data: Path) -> AsyncIterator[Killed]:
    """Start a broker, and leave none behind."""
    broker = Killed(data)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.kill()


class Load:
    """An idempotent producer that keeps several batches under way, across crashes."""

    def __init__(self, bootstrap: str) -> None:
        self.acknowledged: dict[tuple[int, int], bytes] = {}
        self.sent = 0
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            enable_idempotence=True,
            retry_backoff_ms=20,
            request_timeout_ms=60_000,
            max_batch_size=2000,
        )
        self._stopping = False
        self._settled = asyncio.Event()

    async def run(self) -> None:
        """Write until told to stop, and wait for what is under way."""
        async with self._producer:
            under_way: set[asyncio.Task[None]] = set()
            while not self._stopping:
                value = b"%d" % self.sent
                future = await self._producer.send("t", value, partition=self.sent % PARTITIONS)
                self.sent += 1
                under_way.add(asyncio.create_task(self._settle(value, future)))
                if len(under_way) >= 300:
                    _, under_way = await asyncio.wait(
                        under_way, return_when=asyncio.FIRST_COMPLETED
                    )
            await asyncio.gather(*under_way)

    async def _settle(self, value: bytes, future: "asyncio.Future[object]") -> None:
        receipt = await future
        place = (receipt.partition, receipt.offset)  # type: ignore[attr-defined]
        assert place not in self.acknowledged
        self.acknowledged[place] = value
        self._settled.set()

    async def more(self, count: int) -> None:
        """Wait until so many more are acknowledged."""
        enough = len(self.acknowledged) + count
        while len(self.acknowledged) < enough:
            self._settled.clear()
            await self._settled.wait()

    def stop(self) -> None:
        """Write no more."""
        self._stopping = True


async def everything(bootstrap: str) -> dict[tuple[int, int], bytes]:
    """Read all partitions from the start."""
    found: dict[tuple[int, int], bytes] = {}
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        consumer.assign(PLACES)
        await consumer.seek_to_beginning(*PLACES)
        ends = await consumer.end_offsets(PLACES)
        while len(found) < sum(ends.values()):
            for place, records in (await consumer.getmany(timeout_ms=1000)).items():
                found |= {(place.partition, r.offset): r.value for r in records}
    return found


@asynccontextmanager
async def member_of_nothing(bootstrap: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Return a consumer that has a group's name and commits only what it is told to."""
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id="g", enable_auto_commit=False
    ) as consumer:
        consumer.assign(PLACES)
        yield consumer


async def commit(bootstrap: str, offset: int) -> None:
    """Store a group's position."""
    async with member_of_nothing(bootstrap) as consumer:
        await consumer.commit({PLACES[0]: offset})


async def position(bootstrap: str) -> int | None:
    """Return the group's position."""
    async with member_of_nothing(bootstrap) as consumer:
        found: int | None = await consumer.committed(PLACES[0])
        return found


@pytest.mark.slow
async def test_killed_again_and_again_nothing_acknowledged_is_lost_or_doubled(
    tmp_path: Path,
) -> None:
    chance = random.Random(SEED)
    async with broker_to_kill(tmp_path) as broker:
        bootstrap = str(broker.address)
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic("t", PARTITIONS, 1)])
        await admin.close()
        load = Load(bootstrap)
        running = asyncio.create_task(load.run())
        async with asyncio.timeout(100):
            for cycle in range(1, CYCLES + 1):
                await load.more(chance.randrange(50, 600))
                await commit(bootstrap, cycle)
                await load.more(chance.randrange(1, 200))
                await broker.kill()
                await broker.start()
                assert await position(bootstrap) == cycle
            load.stop()
            await running
            found = await everything(bootstrap)
    assert load.acknowledged.items() <= found.items()
    assert max(Counter(found.values()).values()) == 1
    for partition in range(PARTITIONS):
        offsets = sorted(offset for index, offset in found if index == partition)
        assert offsets == list(range(len(offsets)))
    assert len(found) == load.sent
    with sqlite3.connect(tmp_path / "broker.db") as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
