"""Fetch: committed batches as they lie there, with long polling."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from kio.schema.errors import ErrorCode

from bus.broker.answers import FEW
from bus.broker.engine import LEADER_EPOCH, Engine
from bus.broker.partition import NOTHING, Partition, Read, Waiter
from bus.broker.storage.log import Damaged
from bus.broker.storage.reader import Gone
from bus.broker.transactions.state import Aborted
from bus.broker.wire import Each, Fields, Request
from bus.pause import Pause

_FINAL_EPOCH = -1
_PATIENCE = 0.5  # seconds that a fetch waits for memory if it does not want to wait itself
COMMITTED = 1
"""The isolation level of who reads committed records alone."""


@dataclass(slots=True)
class _Wanted:
    """What is wanted of one partition, and what there is."""

    topic: str
    index: int
    offset: int
    limit: int
    partition: Partition | None
    error: ErrorCode
    read: Read = NOTHING
    aborted: Sequence[Aborted] = ()


async def fetch(engine: Engine, request: Request) -> Fields:
    """Answer once there are enough bytes, the wait is over, or something is wrong."""
    body = request.body
    if getattr(body, "session_id", 0) != 0 and body.session_epoch != _FINAL_EPOCH:
        return {"error_code": ErrorCode.fetch_session_id_not_found, "responses": ()}
    loop = asyncio.get_running_loop()
    deadline = loop.time() + body.max_wait.total_seconds()
    most = min(body.max_bytes, engine.settings.fetch_max_bytes, request.room)
    committed = body.isolation_level == COMMITTED
    least = 0
    while True:
        wanted, pause = list[_Wanted](), Pause()
        for topic in body.topics:
            for part in topic.partitions:
                wanted.append(_wanted(engine, topic.topic, part))
                await pause()
        async with _turn(request, wanted):
            limit = await _reserve(engine, request, most, least, deadline)
            if limit is None:
                break
            size = await _read(engine, wanted, limit, committed=committed)
        if not _settle(engine, request, size):
            least = size
            continue
        missing, wait = min(body.min_bytes, most, limit) - size, deadline - loop.time()
        failed = any(one.error is not ErrorCode.none for one in wanted)
        if missing <= 0 or wait <= 0 or failed or not wanted:
            break
        _settle(engine, request, 0)
        for one in wanted:
            one.read = NOTHING  # who waits holds no memory
        started = loop.time()
        await _wait(wanted, Waiter(missing, committed=committed), wait)
        request.waited += loop.time() - started
    if not request.own:
        _count(engine, wanted)
    return _answer(wanted, committed=committed)


@asynccontextmanager
async def _turn(request: Request, wanted: list[_Wanted]) -> AsyncIterator[None]:
    """Wait until one may read from the disk, where that is needed: a user has so many places."""
    lane = request.lane if any(map(_on_disk, wanted)) else None
    if lane is None:
        yield
        return
    await lane.reads.take(1)
    try:
        yield
    finally:
        lane.reads.give(1)


def _on_disk(one: _Wanted) -> bool:
    """Say whether what is wanted is no longer in memory."""
    return (
        one.partition is not None
        and one.error is ErrorCode.none
        and one.offset < one.partition.cached_from
    )


async def _reserve(
    engine: Engine, request: Request, most: int, least: int, deadline: float
) -> int | None:
    """Take memory for an answer, less of it where there is little; None if there is none in time.

    It is given back by the connection once the client has taken the answer.
    """
    memory = engine.limits.fetches
    wanted = max(min(most, engine.limits.answer()), least)
    if not memory.try_take(wanted):
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(max(deadline, started + _PATIENCE)):
                await memory.take(wanted)
        except TimeoutError:
            return None
        finally:
            request.waited += asyncio.get_running_loop().time() - started
    request.held = wanted
    return wanted


def _settle(engine: Engine, request: Request, size: int) -> bool:
    """Hold as much as an answer takes; false, and nothing, if there is not so much.

    The first batch comes even if it alone is larger than what was reserved.
    """
    memory, more = engine.limits.fetches, size - request.held
    if more <= 0:
        memory.give(-more)
    elif not memory.try_take(more):
        memory.give(request.held)
        request.held = 0
        return False
    request.held = size
    return True


def _wanted(engine: Engine, topic: str, part: Any) -> _Wanted:
    partition = engine.topics.partition(topic, part.partition)
    epoch = getattr(part, "current_leader_epoch", -1)
    error = ErrorCode.none
    if partition is None:
        error = ErrorCode.unknown_topic_or_partition
    elif epoch > LEADER_EPOCH:
        error = ErrorCode.unknown_leader_epoch
    elif not partition.start <= part.fetch_offset <= partition.end:
        error = ErrorCode.offset_out_of_range
    return _Wanted(
        topic, part.partition, part.fetch_offset, part.partition_max_bytes, partition, error
    )


async def _read(engine: Engine, wanted: list[_Wanted], limit: int, *, committed: bool) -> int:
    size, pause = 0, Pause()
    for one in wanted:
        await pause()
        if one.partition is None or one.error is not ErrorCode.none:
            continue
        try:
            one.read = await engine.read(
                one.partition,
                one.offset,
                min(one.limit, limit - size),
                at_least_one=size == 0,
                stable=committed,
            )
            if committed and one.read.batches and one.partition.aborted >= one.offset:
                one.aborted = await _skipped(engine, one.partition, one)
        except Damaged:
            one.error = ErrorCode.corrupt_message
        except Gone:
            one.error = ErrorCode.offset_out_of_range
        size += len(one.read.batches)
    return size


async def _skipped(engine: Engine, partition: Partition, one: _Wanted) -> Sequence[Aborted]:
    """Return the aborted transactions in what was read."""
    number, since, upto = partition.number, one.offset, one.offset + one.read.records
    return await engine.query(partition, lambda reader: reader.aborted(number, since, upto))


async def _wait(wanted: list[_Wanted], waiter: Waiter, seconds: float) -> None:
    partitions = [one.partition for one in wanted if one.partition is not None]
    for partition in partitions:
        partition.waiters.add(waiter)
    try:
        async with asyncio.timeout(seconds):
            await waiter.ready.wait()
    except TimeoutError:
        return
    finally:
        for partition in partitions:
            partition.waiters.discard(waiter)


def _count(engine: Engine, wanted: list[_Wanted]) -> None:
    for one in wanted:
        if one.read.batches and engine.topics.get(one.topic) is not None:  # not deleted meanwhile
            engine.telemetry.fetched_records.labels(one.topic).inc(one.read.records)
            engine.telemetry.fetched_bytes.labels(one.topic).inc(len(one.read.batches))


def _answer(wanted: list[_Wanted], *, committed: bool) -> Fields:
    topics: dict[str, list[_Wanted]] = {}
    for one in wanted:
        topics.setdefault(one.topic, []).append(one)

    def part(one: _Wanted) -> Fields:
        return _part(one, committed=committed)

    def told(ones: list[_Wanted]) -> Each | list[Fields]:
        return Each(part, ones) if len(ones) > FEW else list(map(part, ones))

    return {
        "error_code": ErrorCode.none,
        "responses": [{"topic": name, "partitions": told(ones)} for name, ones in topics.items()],
    }


def _aborted(aborted: Sequence[Aborted]) -> list[Fields]:
    return [{"producer_id": one.producer, "first_offset": one.first} for one in aborted]


def _part(one: _Wanted, *, committed: bool) -> Fields:
    known = one.partition if one.error is ErrorCode.none else None
    return {
        "partition_index": one.index,
        "error_code": one.error,
        "high_watermark": known.end if known else -1,
        "last_stable_offset": known.stable if known else -1,
        "log_start_offset": known.start if known else -1,
        "aborted_transactions": _aborted(one.aborted) if known and committed else None,
        "records": one.read.batches,
    }
