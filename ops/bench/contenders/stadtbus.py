"""Typed events with our own publisher and subscriber."""

import asyncio
import resource
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from bus import Event, Publisher, Subscriber
from bus.event import Draft
from bus.kafka import Fetched, GroupConsumer, Place
from ops.bench.addresses import address, addresses, id_of
from ops.bench.contract import SYSTEM, put_in_force
from ops.bench.ledger import Ledger, check_ids, expected
from ops.bench.model import Task, Unverified

CHUNK = 5_000
"""Events handed to the publisher at once."""


def publish_bulk(task: Task) -> Mapping[str, float]:
    """Publish with `publish_many`."""
    return asyncio.run(_publish_bulk(task))


async def _publish_bulk(task: Task) -> Mapping[str, float]:
    from ops.bench.contenders.loop import check_written

    await put_in_force(task)
    total = task.warm + task.count
    events = list(addresses(total))
    async with Publisher(SYSTEM, task.settings) as publisher:
        await publisher.publish_many(task.topic, events[: task.warm])
        begun, receipts = time.perf_counter(), 0
        for start in range(task.warm, total, CHUNK):
            receipts += len(await publisher.publish_many(task.topic, events[start : start + CHUNK]))
        seconds = time.perf_counter() - begun
    if receipts != task.count:
        raise Unverified(f"{task.count} events have {receipts} receipts")
    await check_written(task, total)
    return {"throughput": task.count / seconds}


def publish_single(task: Task) -> Mapping[str, float]:
    """Publish one event after the other, each once the one before it is acknowledged."""
    return asyncio.run(_publish_single(task))


async def _publish_single(task: Task) -> Mapping[str, float]:
    from ops.bench.contenders.loop import check_written

    await put_in_force(task)
    total = task.warm + task.count
    async with Publisher(SYSTEM, task.settings) as publisher:
        for n in range(task.warm):
            await publisher.publish(task.topic, address(n))
        begun = time.perf_counter()
        ids = [
            (await publisher.publish(task.topic, address(n))).id for n in range(task.warm, total)
        ]
        seconds = time.perf_counter() - begun
    check_ids(ids, task.count)
    await check_written(task, total)
    return {"throughput": task.count / seconds}


def load(task: Task) -> Mapping[str, Any]:
    """Prepare a topic for those that read it: events under ids that tell their numbers."""
    asyncio.run(_load(task))
    return {"topic": task.topic}


async def _load(task: Task) -> None:
    from ops.bench.contenders.loop import check_written

    await put_in_force(task)
    async with Publisher(SYSTEM, task.settings) as publisher:
        for start in range(0, task.count, CHUNK):
            drafts = _drafts(start, min(start + CHUNK, task.count))
            await publisher.publish_many(task.topic, drafts)
    # Nobody who reads could tell an event that was never there from one that is yet to come.
    await check_written(task, task.count, with_ids=True)


def _drafts(start: int, end: int) -> Iterator[Draft]:
    for n in range(start, end):
        yield Draft(data=address(n), id=id_of(n))


def consume(task: Task) -> Mapping[str, float]:
    """Read all events of the prepared topic in batches, envelope and data decoded."""
    ledger, seconds = asyncio.run(_consume(task))
    ledger.check(expected(task.count))
    return {"throughput": ledger.count / seconds}


def catch_up(task: Task) -> Mapping[str, float]:
    """Read the backlog, and tell the time and the largest memory that it took."""
    ledger, seconds = asyncio.run(_consume(task))
    megabytes = peak_megabytes()
    ledger.check(expected(task.count))
    return {"time": seconds, "memory": megabytes}


class _Timed(Subscriber):
    """A subscriber whose clock starts with the first records in hand, none of them decoded yet."""

    begun = 0.0

    async def _poll(
        self, consumer: GroupConsumer, wait: float, without: Collection[Place]
    ) -> Mapping[Place, Sequence[Fetched]]:
        found = await super()._poll(consumer, wait, without)
        if found:
            self.begun = self.begun or time.perf_counter()
        return found


async def _consume(task: Task) -> tuple[Ledger, float]:
    ledger = Ledger()
    topic = task.prepared["topic"]
    async with _Timed(task.group, [topic], task.settings) as subscriber:

        async def handle(events: Sequence[Event]) -> None:
            for event in events:
                assert event.data is not None
                assert event.position is not None
                ledger.add(event.position.partition, event.key, event.id, event.data)
            if ledger.count >= task.count:
                subscriber.stop()

        await subscriber.run_batches(handle)
        seconds = time.perf_counter() - subscriber.begun
    if not subscriber.begun:
        raise Unverified("the clock was never started")
    return ledger, seconds


def peak_megabytes() -> float:
    """Return the most memory that this process has had so far (getrusage(2): kB on Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
