"""Everything that a broker has, read from it as any client would."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from aiokafka.record import MemoryRecords
from kio.schema.errors import ErrorCode

from bus.broker.batch import CONTROL, TRANSACTIONAL, spans
from bus.broker.keys import ApiKey
from bus.settings import Address
from ops.torture.broker.account import Entry, Found
from ops.torture.broker.client import Client

_UNCOMMITTED, _COMMITTED = 0, 1
_NO_SEQUENCE = -1
_EARLIEST = -2
_CALM = 60.0  # seconds until nothing is deleted any more


class Unreadable(Exception):
    """A partition that could not be read."""


class Deleted(Unreadable):
    """What was to be read next is not there any more."""


class _Batch(NamedTuple):
    first: int
    next: int
    attributes: int
    entries: list[Entry]


async def everything(
    where: Callable[[], Address],
    topic: str,
    partitions: Iterable[int],
    groups: Iterable[str],
    transactions: Iterable[str],
) -> Found:
    """Read what is there, after every transaction that is still open was ended.

    Args:
        where: the broker's address.
        topic, partitions: what to read.
        groups: whose positions to ask for; each commits one for partition 0.
        transactions: the transactional ids that were used.

    Raises:
        Unreadable: a partition or position is refused.
    """
    client = await Client.to(where)
    try:
        for name in transactions:
            await _end(client, name)
        log, visible = {}, {}
        for partition in partitions:
            log[partition] = await entries(client, topic, partition)
            visible[partition] = await _visible(client, topic, partition)
        positions = {group: await position(client, topic, group) for group in groups}
        topics = frozenset(await topics_of(client))
        return Found(log=log, visible=visible, positions=positions, topics=topics)
    finally:
        client.close()


async def entries(client: Client, topic: str, partition: int, first: int = 0) -> list[Entry]:
    """Return every record of a partition, from an offset on.

    Raises:
        Deleted: the first of them are gone.
        Unreadable: it is refused.
    """
    batches = [one async for one in _batches(client, topic, partition, _UNCOMMITTED, [], first)]
    return [entry for one in batches for entry in one.entries]


async def whole(client: Client, topic: str, partition: int) -> tuple[int, list[Entry]]:
    """Return where a partition begins, and its records, once nothing is deleted meanwhile.

    Raises:
        Unreadable: it is refused.
        TimeoutError: again and again something is deleted; so nobody may write all the time.
    """
    async with asyncio.timeout(_CALM):
        while True:
            first = await earliest(client, topic, partition)
            with suppress(Deleted):
                return first, await entries(client, topic, partition, first)


async def earliest(client: Client, topic: str, partition: int) -> int:
    """Return a partition's first offset.

    Raises:
        Unreadable: it is refused.
    """
    asked = {"partition_index": partition, "current_leader_epoch": -1, "timestamp": _EARLIEST}
    answer = await client.ask(
        ApiKey.LIST_OFFSETS,
        5,
        replica_id=-1,
        isolation_level=_UNCOMMITTED,
        topics=[{"name": topic, "partitions": [asked]}],
    )
    part = answer.topics[0].partitions[0]
    if part.error_code is not ErrorCode.none:
        raise Unreadable(f"partition {partition}: {part.error_code.name}")
    return int(part.offset)


async def topics_of(client: Client) -> dict[str, int]:
    """Return all topics, and how many partitions each has."""
    answer = await client.ask(ApiKey.METADATA, 4, topics=None, allow_auto_topic_creation=False)
    return {topic.name: len(topic.partitions) for topic in answer.topics}


async def _end(client: Client, name: str) -> None:
    """Take a transactional id over: what it had open is aborted."""
    error = ErrorCode.concurrent_transactions
    while error is ErrorCode.concurrent_transactions:
        answer = await client.ask(
            ApiKey.INIT_PRODUCER_ID,
            4,
            transactional_id=name,
            transaction_timeout=60_000,
            producer_id=-1,
            producer_epoch=-1,
        )
        error = answer.error_code
    if error is not ErrorCode.none:
        raise Unreadable(f"transactional id {name}: {error.name}")


async def _visible(client: Client, topic: str, partition: int) -> list[bytes]:
    """Return the values that belong to no aborted transaction."""
    aborted: list[tuple[int, int]] = []
    found = [one async for one in _batches(client, topic, partition, _COMMITTED, aborted)]
    waiting, hidden = sorted(set(aborted)), set()
    values = []
    for one in found:
        while waiting and waiting[0][0] <= one.first:
            hidden.add(waiting.pop(0)[1])
        producer = one.entries[0].producer
        if one.attributes & CONTROL:
            hidden.discard(producer)
        elif not (one.attributes & TRANSACTIONAL and producer in hidden):
            values += [entry.value for entry in one.entries if entry.value is not None]
    return values


async def _batches(
    client: Client,
    topic: str,
    partition: int,
    isolation: int,
    aborted: list[tuple[int, int]],
    offset: int = 0,
) -> Any:
    while True:
        answer = await client.ask(ApiKey.FETCH, 11, **_fetch(topic, partition, offset, isolation))
        part = answer.responses[0].partitions[0]
        if part.error_code is ErrorCode.offset_out_of_range:
            raise Deleted(f"topic {topic}, partition {partition}: {offset} is out of range")
        if part.error_code is not ErrorCode.none:
            raise Unreadable(f"partition {partition} at {offset}: {part.error_code.name}")
        aborted += [(one.first_offset, one.producer_id) for one in part.aborted_transactions or ()]
        batches = list(_parsed(part.records or b""))
        if not batches:
            return
        for one in batches:
            yield one
        offset = batches[-1].next


def _parsed(data: bytes) -> Iterator[_Batch]:
    for span in spans(data):
        header = span.header
        (batch,) = _whole(data[span.start : span.end])
        control = header.attributes & CONTROL
        entries = [
            Entry(
                record.offset,
                None if control else record.value,
                header.producer_id,
                header.producer_epoch,
                header.base_sequence + number if header.base_sequence >= 0 else _NO_SEQUENCE,
                record.key,
            )
            for number, record in enumerate(batch)
        ]
        yield _Batch(header.base_offset, span.next_offset, header.attributes, entries)


def _whole(data: bytes) -> Iterator[Any]:
    records = MemoryRecords(data)
    while (batch := records.next_batch()) is not None:
        if not batch.validate_crc():
            raise Unreadable("a batch was served whose checksum is wrong")
        yield batch


async def position(client: Client, topic: str, group: str) -> int:
    """Return a group's position in partition 0.

    Raises:
        Unreadable: it is refused.
    """
    answer = await client.ask(
        ApiKey.OFFSET_FETCH,
        7,
        group_id=group,
        topics=[{"name": topic, "partition_indexes": [0]}],
        require_stable=False,
    )
    part = answer.topics[0].partitions[0]
    if part.error_code is not ErrorCode.none:
        raise Unreadable(f"group {group}: {part.error_code.name}")
    return int(part.committed_offset)


def _fetch(topic: str, partition: int, offset: int, isolation: int) -> dict[str, Any]:
    part = {
        "partition": partition,
        "current_leader_epoch": -1,
        "fetch_offset": offset,
        "log_start_offset": -1,
        "partition_max_bytes": 2**22,
    }
    return {
        "max_wait": 0,
        "min_bytes": 1,
        "max_bytes": 2**22,
        "isolation_level": isolation,
        "session_id": 0,
        "session_epoch": -1,
        "topics": [{"topic": topic, "partitions": [part]}],
        "forgotten_topics_data": [],
        "rack_id": "",
    }
