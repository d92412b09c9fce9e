"""From a shared topic to another: the router, and plain copies with aiokafka."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from bus.admin import Admin, TopicSpec
from bus.contracts import open_feed
from bus.kafka import Fetched, LogReader
from bus.router import Router
from bus.router.lane import AT_ONCE
from bus.schemas import SchemaClient
from bus.telemetry import Telemetry
from ops.bench.addresses import PARTITIONS
from ops.bench.contenders.loop import BATCH_BYTES, decoder
from ops.bench.contenders.stadtbus import load
from ops.bench.ledger import Ledger, expected
from ops.bench.model import Task, Unverified

Work = Callable[[Task, str], Coroutine[Any, Any, None]]
"""Copies the task's topic to another one until it is cancelled."""

LOOKING = 0.02
"""Seconds between two looks at how much is there."""


def router(task: Task) -> Mapping[str, float]:
    """Have a router fill the feed."""
    load(task)
    return asyncio.run(_router(task))


async def _router(task: Task) -> Mapping[str, float]:
    settings = task.settings.model_copy(update={"data": Path(task.folder)})
    async with Router(settings, Telemetry()):
        return await _timed(task, open_feed(task.topic))


def copy(task: Task) -> Mapping[str, float]:
    """Copy with an idempotent producer."""
    load(task)
    return asyncio.run(_copied(task, _copy))


def copy_in_transactions(task: Task) -> Mapping[str, float]:
    """Copy in transactions, positions among what they write."""
    load(task)
    return asyncio.run(_copied(task, _copy_in_transactions))


async def _copied(task: Task, work: Work) -> Mapping[str, float]:
    target = f"copy.{task.name}"
    async with Admin(task.settings.kafka) as admin:
        await admin.ensure_topic(TopicSpec(name=target, partitions=PARTITIONS, configs={}))
    copying = asyncio.create_task(work(task, target))
    timing = asyncio.create_task(_timed(task, target))
    try:
        await asyncio.wait({copying, timing}, return_when=asyncio.FIRST_COMPLETED)
        if not timing.done():
            copying.result()
            raise Unverified("the copy ended before all was there")
        return timing.result()
    finally:
        for one in (copying, timing):
            one.cancel()
        await asyncio.wait({copying, timing})


async def _timed(task: Task, target: str) -> Mapping[str, float]:
    """Wait until all events are in a topic; return how fast they came, once they were checked."""
    begun, first = 0.0, 0
    async with LogReader(task.settings.kafka) as reader:
        while (there := await _count(reader, target, task.count)) < task.count:
            if not begun and there >= task.warm:
                begun, first = time.perf_counter(), there
            await asyncio.sleep(LOOKING)
        seconds = time.perf_counter() - begun
        if not begun:
            raise Unverified("all events were there at the first look: there are too few")
        await _check(task, reader, target)
    return {"throughput": (task.count - first) / seconds}


async def _count(reader: LogReader, target: str, count: int) -> int:
    """Return how many committed records a topic has, marks of transactions not among them."""
    if not await reader.exists(target):
        return 0
    ends = {n: end for n, (_, end) in (await reader.bounds(target)).items()}
    if sum(ends.values()) < count:
        return sum(ends.values())
    # Marks take offsets, too: close to the end it is counted for what it is.
    return len([one async for one in _records(reader, target)])


async def _records(reader: LogReader, target: str) -> AsyncIterator[Fetched]:
    for partition, (first, end) in (await reader.bounds(target)).items():
        at = first
        while at < end:
            records = await reader.read(target, partition, at, max_wait=0)
            if not records:
                break
            for record in records:
                yield record
            at = records[-1].offset + 1


async def _check(task: Task, reader: LogReader, target: str) -> None:
    async with SchemaClient(task.registry) as registry:
        contract = await registry.contract(task.topic)
    decode, ledger = decoder(contract.versions[-1]), Ledger()
    async for record in _records(reader, target):
        key = (record.key or b"").decode()
        id_ = dict(record.headers)["ce_id"].decode()
        ledger.add(record.partition, key, id_, decode(record.value or b""))
    ledger.check(expected(task.count))


@asynccontextmanager
async def _consumer(task: Task) -> AsyncIterator[AIOKafkaConsumer]:
    async with AIOKafkaConsumer(
        task.topic,
        bootstrap_servers=task.bootstrap,
        group_id=task.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    ) as consumer:
        yield consumer


async def _copy(task: Task, target: str) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=task.bootstrap, enable_idempotence=True, max_batch_size=BATCH_BYTES
    )
    async with _consumer(task) as consumer, producer:
        committed = time.monotonic()
        while True:
            for place, records in (await consumer.getmany(timeout_ms=200)).items():
                await _send(producer, target, place.partition, records)
            if time.monotonic() - committed > 1:
                await consumer.commit()
                committed = time.monotonic()


async def _copy_in_transactions(task: Task, target: str) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=task.bootstrap,
        transactional_id=task.group,
        max_batch_size=BATCH_BYTES,
    )
    async with _consumer(task) as consumer, producer:
        while True:
            for place, records in (await consumer.getmany(timeout_ms=200)).items():
                for start in range(0, len(records), AT_ONCE):
                    chunk = records[start : start + AT_ONCE]
                    offset = OffsetAndMetadata(chunk[-1].offset + 1, "")
                    async with producer.transaction():
                        await _send(producer, target, place.partition, chunk)
                        await producer.send_offsets_to_transaction(
                            {TopicPartition(task.topic, place.partition): offset}, task.group
                        )


async def _send(
    producer: AIOKafkaProducer, target: str, partition: int, records: Sequence[Any]
) -> None:
    """Write records in batches as large as may be, and wait until all of them are there."""
    under_way, batch = [], producer.create_batch()
    for one in records:
        fields = {"timestamp": None, "key": one.key, "value": one.value, "headers": [*one.headers]}
        if batch.append(**fields) is None:
            under_way.append(await producer.send_batch(batch, target, partition=partition))
            batch = producer.create_batch()
            batch.append(**fields)
    under_way.append(await producer.send_batch(batch, target, partition=partition))
    await asyncio.gather(*under_way)
