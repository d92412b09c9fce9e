"""A node that deletes or compacts while it is written to at a fixed rate."""

import asyncio
import os
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from bus.admin import Admin, TopicSpec
from bus.settings import KafkaSettings
from ops.bench.contenders.alone import LONGEST_STEP, noted, told
from ops.bench.figures import percentile
from ops.bench.model import Task, Unverified
from ops.node import NodeProcess

OLD, LOAD = "bench.old.v1", "bench.load.v1"
KEYS = 20_000
VALUE_BYTES = 950
BATCH_BYTES = 64_000
RATE = 20_000_000 / BATCH_BYTES
"""Batches a second."""

LANES = 4
"""Partitions that are written to in turn, as aiokafka has one batch under way in each."""

QUIET_SECONDS = 10.0
PATIENCE = 300.0
LEFT = 0.4
"""Of the database, at most, when all is done: a fifth may stay free, and the load is there, too."""

MARGIN = 40 * 2**20
"""Bytes of the load, that are there in any case."""

Latencies = list[tuple[float, float]]
"""When each batch was meant to be sent, and how long after that it was acknowledged."""


def busy(task: Task) -> Mapping[str, float]:
    """Write while a gigabyte is deleted or compacted."""
    return asyncio.run(_run(task, works=True))


def quiet(task: Task) -> Mapping[str, float]:
    """Write while nothing else is done."""
    return asyncio.run(_run(task, works=False))


async def _run(task: Task, *, works: bool) -> Mapping[str, float]:
    with (
        tempfile.TemporaryDirectory(dir=task.folder or None) as folder,
        NodeProcess(Path(folder), "--roles", "broker") as node,
    ):
        bootstrap, policy = node.ready["broker"], task.case["policy"]
        database = Path(folder) / "broker" / "broker.db"
        await _fill(bootstrap, task.count, policy)
        filled, latencies, stop = _size(database), Latencies(), asyncio.Event()
        writing = asyncio.create_task(_write(bootstrap, latencies, stop))
        await asyncio.sleep(1.0)
        begun = time.perf_counter()
        with noted(node, partial(told, LONGEST_STEP)) as steps:
            if works:
                await asyncio.to_thread(_order, bootstrap, policy)
                await _until_done(bootstrap, policy, database, filled)
            else:
                await asyncio.sleep(min(QUIET_SECONDS, task.count / 10))
            ended = time.perf_counter()
        stop.set()
        await writing
        counted = sorted(late for meant, late in latencies if begun <= meant <= ended)
        return {
            "p50": percentile(counted, 50.0) * 1000,
            "p99": percentile(counted, 99.0) * 1000,
            "max": counted[-1] * 1000,
            "longest step": max(steps) * 1000,
            "done after": ended - begun,
        }


def _size(file: Path) -> int:
    return file.stat().st_size


async def _fill(bootstrap: str, megabytes: int, policy: str) -> None:
    """Write so much to the topic that is deleted or compacted afterwards."""
    configs = {"cleanup.policy": policy, "min.cleanable.dirty.ratio": "0", "retention.ms": "-1"}
    async with Admin(KafkaSettings(bootstrap=bootstrap)) as admin:
        await admin.ensure_topic(TopicSpec(name=OLD, partitions=1, configs=configs))
        small = {"retention.bytes": "5000000"}
        await admin.ensure_topic(TopicSpec(name=LOAD, partitions=LANES, configs=small))
    value, since = os.urandom(VALUE_BYTES), round(time.time() * 1000) - 1_000_000
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", max_batch_size=1_000_000
    ) as producer:
        await producer.partitions_for(OLD)
        for n in range(megabytes):
            batch = producer.create_batch()
            for record in range(1000):
                key = b"%d" % ((n * 1000 + record) % KEYS)
                batch.append(timestamp=since + n, key=key, value=value)
            await (await producer.send_batch(batch, OLD, partition=0))


def _order(bootstrap: str, policy: str) -> None:
    """Have all of it deleted, or all but the last batch compacted."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    if policy == "delete":
        place = Place(OLD, 0, -1)
        admin.delete_records([place])[place].result(PATIENCE)
        return
    # What is written to now ends a millisecond of the records' time ago.
    entry = ConfigEntry("segment.ms", "1", incremental_operation=AlterConfigOpType.SET)
    wanted = ConfigResource(ConfigResource.Type.TOPIC, OLD, incremental_configs=[entry])
    admin.incremental_alter_configs([wanted])[wanted].result(PATIENCE)


async def _until_done(bootstrap: str, policy: str, database: Path, filled: int) -> None:
    """Return once the space is given back.

    Raises:
        Unverified: it is not, or something is gone that was to stay.
    """
    end = time.perf_counter() + PATIENCE
    while (size := _size(database)) > LEFT * filled + MARGIN:
        if time.perf_counter() > end:
            raise Unverified(f"the database has {size} of {filled} bytes still")
        await asyncio.sleep(0.05)
    place = TopicPartition(OLD, 0)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as consumer:
        consumer.assign([place])
        (first,) = (await consumer.beginning_offsets([place])).values()
        (last,) = (await consumer.end_offsets([place])).values()
        if policy == "delete":
            if first != last:
                raise Unverified(f"the log begins at {first} and ends at {last}")
            return
        await consumer.seek_to_beginning(place)
        keys: set[bytes] = set()
        while await consumer.position(place) < last:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                keys.update(record.key for record in records)
    if len(keys) != min(KEYS, last):
        raise Unverified(f"{len(keys)} keys are left of {KEYS}")


async def _write(bootstrap: str, latencies: Latencies, stop: asyncio.Event) -> None:
    """Write batches on schedule until told to stop; all have to be acknowledged."""
    value = os.urandom(BATCH_BYTES - 200)
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", linger_ms=0, max_batch_size=2 * BATCH_BYTES
    ) as producer:
        await producer.partitions_for(LOAD)
        start, under_way = time.perf_counter(), set()

        async def send(n: int, meant: float) -> None:
            batch = producer.create_batch()
            batch.append(timestamp=None, key=None, value=value)
            await (await producer.send_batch(batch, LOAD, partition=n % LANES))
            latencies.append((meant, time.perf_counter() - meant))

        n = 0
        while not stop.is_set():
            meant = start + n / RATE
            if (wait := meant - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            under_way.add(asyncio.create_task(send(n, meant)))
            n += 1
        await asyncio.gather(*under_way)
