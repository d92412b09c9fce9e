"""Typed events at a fixed rate, from one process to another; ours, and the plain loop."""

import asyncio
import selectors
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bus import Event, Publisher, Subscriber
from bus.event import partition_of
from bus.schemas import SchemaClient
from ops.bench.addresses import address, id_of, number_of
from ops.bench.children import end_with_contender
from ops.bench.contenders.loop import Encoder, check_written, decoder
from ops.bench.contract import SYSTEM, put_in_force
from ops.bench.ledger import Ledger, expected
from ops.bench.model import Task, Unverified
from ops.bench.schedule import due, latencies

LEAD = 0.2
"""Seconds before the first event, so that nobody begins late."""

PATIENCE = 30.0
"""Seconds after the last event in which all have to arrive."""

T = TypeVar("T")

clock = time.monotonic
"""The same clock in both processes: on Linux it is the machine's, not the process's."""

Arrivals = dict[int, float]
Read = Callable[[Task, int, Connection], Coroutine[Any, Any, tuple[Arrivals, Ledger]]]
Send = Callable[[int], Awaitable[Awaitable[Any]]]
"""Hands over an event; what it returns is done once the event is acknowledged."""


def stadtbus(task: Task) -> Mapping[str, float]:
    """Publish with one call an event, and subscribe with a handler of single events."""
    return _run(_stadtbus(task))


async def _stadtbus(task: Task) -> Mapping[str, float]:
    await put_in_force(task)
    async with Publisher(SYSTEM, task.settings) as publisher:

        async def send(n: int) -> Awaitable[Any]:
            return asyncio.create_task(publisher.publish(task.topic, address(n), id=id_of(n)))

        return await _measured(task, send, read_stadtbus)


async def read_stadtbus(task: Task, count: int, ready: Connection) -> tuple[Arrivals, Ledger]:
    """Subscribe until all have arrived."""
    arrivals: Arrivals = {}
    ledger = Ledger()
    async with Subscriber(task.group, [task.topic], task.settings) as subscriber:

        async def handle(event: Event) -> None:
            arrived = clock()
            n = number_of(event.id)
            arrivals[n] = arrived
            assert event.data is not None
            assert event.position is not None
            ledger.add(event.position.partition, event.key, event.id, event.data)
            if n == 0:
                ready.send("ready")
            if ledger.count >= count:
                subscriber.stop()

        await subscriber.run(handle)
    return arrivals, ledger


def loop(task: Task) -> Mapping[str, float]:
    """Send with aiokafka without a linger, and read with its consumer in a group."""
    return _run(_loop(task))


async def _loop(task: Task) -> Mapping[str, float]:
    contract = await put_in_force(task)
    encode = Encoder(contract)
    async with AIOKafkaProducer(
        bootstrap_servers=task.bootstrap, acks="all", enable_idempotence=True, linger_ms=0
    ) as producer:

        async def send(n: int) -> Awaitable[Any]:
            key, value, headers = encode(address(n), id_of(n))
            partition = partition_of(key.decode(), contract.partitions)
            # Handed over one after the other: side by side, aiokafka does not keep their order.
            acknowledged: Awaitable[Any] = await producer.send(
                task.topic, key=key, value=value, headers=headers, partition=partition
            )
            return acknowledged

        return await _measured(task, send, read_loop)


async def read_loop(task: Task, count: int, ready: Connection) -> tuple[Arrivals, Ledger]:
    """Read until all have arrived."""
    arrivals: Arrivals = {}
    ledger = Ledger()
    async with SchemaClient(task.registry) as registry:
        decode = decoder((await registry.contract(task.topic)).versions[-1])
    async with AIOKafkaConsumer(
        task.topic,
        bootstrap_servers=task.bootstrap,
        group_id=task.group,
        auto_offset_reset="earliest",
        auto_commit_interval_ms=1000,
    ) as consumer:
        while ledger.count < count:
            record = await consumer.getone()
            data, id_ = decode(record.value), dict(record.headers)["ce_id"].decode()
            n = number_of(id_)
            arrivals[n] = clock()
            ledger.add(record.partition, record.key.decode(), id_, data)
            if n == 0:
                ready.send("ready")
    return arrivals, ledger


async def _measured(task: Task, send: Send, read: Read) -> Mapping[str, float]:
    """Start the reader, send one event to see that it reads, then all others on schedule."""
    rate: float = task.case["rate"]
    warm = int(rate)  # a second's worth
    count = warm + int(rate * task.count)
    ours, theirs = get_context("spawn").Pipe()
    reader = get_context("spawn").Process(target=_reading, args=(read, task, count + 1, theirs))
    reader.start()
    theirs.close()
    try:
        await (await send(0))
        await _told(ours)
        start = clock() + LEAD
        under_way = set()
        for n in range(count):
            if (wait := due(start, rate, n) - clock()) > 0:
                await asyncio.sleep(wait)
            under_way.add(await send(n + 1))
        await asyncio.gather(*under_way)
        arrivals: Arrivals = await _told(ours)
    finally:
        reader.terminate()
        reader.join()
    # Who reads goes when it has all: what came twice at the very end shows in the topic alone.
    await check_written(task, count + 1, with_ids=True)
    counted = {n - 1: arrived for n, arrived in arrivals.items() if n > 0}
    return latencies(counted, start=start, rate=rate, count=count, warm=warm)


async def _told(pipe: Connection) -> Any:
    """Return what the reader says next."""
    if not await asyncio.to_thread(pipe.poll, PATIENCE):
        raise Unverified(f"the reader did not have all events {PATIENCE:g} s after the last one")
    try:
        said = pipe.recv()
    except EOFError:
        raise Unverified("the reader ended without a word") from None
    if isinstance(said, Unverified):
        raise said
    return said


def _reading(read: Read, task: Task, count: int, pipe: Connection) -> None:
    """Read in a process of its own; say when each event arrived, or what is wrong with them."""
    end_with_contender()
    arrivals, ledger = _run(read(task, count, pipe))
    try:
        ledger.check(expected(count))
    except Unverified as error:
        pipe.send(error)
    else:
        pipe.send(arrivals)


def _run(main: Coroutine[Any, Any, T]) -> T:
    """Run in a loop whose timers are exact to some microseconds; epoll knows only milliseconds."""
    with asyncio.Runner(
        loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())
    ) as runner:
        return runner.run(main)
