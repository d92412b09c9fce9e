"""One record in flight on each of many connections."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaProducer

from ops.bench.contenders.records import make_topic, read
from ops.bench.figures import percentile
from ops.bench.ledger import Tally, record
from ops.bench.model import Task

PARTITIONS = 10


def one_in_flight(task: Task) -> Mapping[str, float]:
    """Send single records, on each connection the next one once the last is acknowledged."""
    return asyncio.run(_one_in_flight(task))


async def _one_in_flight(task: Task) -> Mapping[str, float]:
    connections: int = task.case["connections"]
    await make_topic(task, PARTITIONS)
    producers = [
        AIOKafkaProducer(
            bootstrap_servers=task.bootstrap, acks="all", enable_idempotence=True, linger_ms=0
        )
        for _ in range(connections)
    ]
    turns = max(task.count // connections, 1)
    warm = max(turns // 10, 1)
    try:
        for producer in producers:
            await producer.start()
        await _send_all(producers, task.topic, 0, warm)
        begun = time.perf_counter()
        took = sorted(await _send_all(producers, task.topic, warm, warm + turns))
        seconds = time.perf_counter() - begun
    finally:
        await asyncio.gather(*(producer.stop() for producer in producers))
    await _check(task, connections, (warm + turns) * connections)
    return {
        "acknowledged": len(took) / seconds,
        "p50": percentile(took, 50) * 1000,
        "p99": percentile(took, 99) * 1000,
    }


async def _send_all(
    producers: Sequence[AIOKafkaProducer], topic: str, first: int, end: int
) -> list[float]:
    """Have each producer send its records of these turns; return how long each record took."""
    connections = len(producers)
    took: list[float] = []

    async def send(number: int, producer: AIOKafkaProducer) -> None:
        for turn in range(first, end):
            value, begun = record(turn * connections + number), time.perf_counter()
            await producer.send_and_wait(topic, value, partition=number % PARTITIONS)
            took.append(time.perf_counter() - begun)

    await asyncio.gather(*(send(number, one) for number, one in enumerate(producers)))
    return took


async def _check(task: Task, connections: int, count: int) -> None:
    """Read all records back: each connection's have to be there, in its order."""
    tally = Tally()
    async for found in read(task, PARTITIONS, count):
        for values in found.values():
            for value in values:
                tally.add(int.from_bytes(value[:8]) % connections, [value])
    tally.check(count, connections)
