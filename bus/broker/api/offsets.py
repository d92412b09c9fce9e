"""ListOffsets and OffsetForLeaderEpoch: which offsets there are, and which belong to a time."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from kio.schema.errors import ErrorCode

from bus.broker.api.fetch import COMMITTED
from bus.broker.batch import LOG_APPEND_TIME, Span, spans
from bus.broker.engine import LEADER_EPOCH, Engine
from bus.broker.partition import Partition
from bus.broker.records import first_since, times
from bus.broker.storage.log import Damaged
from bus.broker.storage.reader import Gone, Reader, StoredRow
from bus.broker.wire import Each, Fields, Request
from bus.pause import Pause

LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL = -1, -2, -3, -4
_SPECIAL = {LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL}
_ENDS = {LATEST, EARLIEST, EARLIEST_LOCAL}
_NONE = (-1, -1)  # offset and timestamp where there is no such record


async def list_offsets(engine: Engine, request: Request) -> Fields:
    """Find the earliest and latest offsets, and the first record at or after a time."""
    asked = request.body.topics
    named = Counter(
        (topic.name, part.partition_index) for topic in asked for part in topic.partitions
    )
    committed = getattr(request.body, "isolation_level", 0) == COMMITTED
    topics, pause = [], Pause()
    for topic in asked:
        parts = []
        for part in topic.partitions:
            times = named[topic.name, part.partition_index]
            parts.append(await _listed(engine, topic.name, part, times=times, committed=committed))
            await pause()
        topics.append({"name": topic.name, "partitions": parts})
    return {"topics": topics}


async def _listed(engine: Engine, topic: str, part: Any, *, times: int, committed: bool) -> Fields:
    """Answer for one partition, which the request names so many times.

    To who reads committed records alone, the last stable offset is the end.
    """
    partition = engine.topics.partition(topic, part.partition_index)
    error, found = ErrorCode.none, _NONE
    if times > 1:
        error = ErrorCode.invalid_request
    elif partition is None:
        error = ErrorCode.unknown_topic_or_partition
    elif partition.damage:
        error = ErrorCode.corrupt_message
    elif getattr(part, "current_leader_epoch", -1) > LEADER_EPOCH:
        error = ErrorCode.unknown_leader_epoch
    elif part.timestamp < 0 and part.timestamp not in _SPECIAL:
        error = ErrorCode.unsupported_version
    else:
        try:
            limit = partition.stable if committed else partition.end
            found = await _found(engine, partition, part.timestamp, limit)
            if found[0] >= limit and part.timestamp not in _ENDS:
                found = _NONE
        except Damaged:
            error = ErrorCode.corrupt_message
        except Gone:
            error = ErrorCode.offset_not_available  # so that it is asked again
    offset, timestamp = found
    return {
        "partition_index": part.partition_index,
        "error_code": error,
        "timestamp": timestamp,
        "offset": offset,
        "leader_epoch": LEADER_EPOCH if offset >= 0 else -1,
    }


async def _found(
    engine: Engine, partition: Partition, timestamp: int, limit: int
) -> tuple[int, int]:
    if timestamp == LATEST:
        return limit, -1
    if timestamp in {EARLIEST, EARLIEST_LOCAL}:
        return partition.start, -1
    number, start, end = partition.number, partition.start, partition.end
    # In the reader thread, because batches may have to be unpacked.
    return await engine.query(partition, lambda r: _searched(r, number, start, end, timestamp))


def _searched(reader: Reader, number: int, start: int, end: int, timestamp: int) -> tuple[int, int]:
    """Return offset and timestamp of the first record at or after a time, or of the newest."""
    at: int | None = start
    if timestamp == MAX_TIMESTAMP:
        at, timestamp = _newest(reader, number, start, end)
    while at is not None and (base := reader.first_since(number, at, end, timestamp)) is not None:
        (row,) = reader.rows(number, base, end, 1)[:1] or (None,)
        if row is None:
            break
        found = _inside(row.batches, timestamp, start)
        if found is not None:
            return found
        at = row.next  # its records of that time are deleted
    return _NONE


def _inside(batches: bytes, timestamp: int, start: int) -> tuple[int, int] | None:
    for span in spans(batches):
        if span.header.max_timestamp >= timestamp and span.next_offset > start:
            found = first_since(batches[span.start : span.end], timestamp, start)
            if found is not None:
                return found
    return None


def _newest(reader: Reader, number: int, start: int, end: int) -> tuple[int | None, int]:
    """Return from where on to look for the newest record, and its time."""
    found = reader.newest(number, start, end)
    if found is None:
        return None, 0
    base, newest = found
    if base < start and (rows := reader.rows(number, start, end, 1)) and rows[0].base == base:
        # The newest of this row may be one that is deleted: the row's own time does not say.
        left = [time for span in spans(rows[0].batches) for time in _times(rows[0], span, start)]
        later = reader.newest(number, rows[0].next, end)
        newest = max([*left, *(later or ())[1:]], default=-1)
    return start, newest


def _times(row: StoredRow, span: Span, start: int) -> Iterator[int]:
    """Yield the times of a batch's records from an offset on."""
    if span.next_offset <= start:
        return
    if span.header.attributes & LOG_APPEND_TIME:
        yield span.header.max_timestamp
        return
    for delta, time in times(row.batches[span.start : span.end], span.header):
        if span.header.base_offset + delta >= start:
            yield span.header.base_timestamp + time


async def offset_for_leader_epoch(engine: Engine, request: Request) -> Fields:
    """Say where a leader epoch ends; there has only ever been one."""

    def told(topic: Any) -> Fields:
        def end(part: Any) -> Fields:
            return _epoch_end(engine, topic.topic, part)

        return {"topic": topic.topic, "partitions": Each(end, topic.partitions)}

    return {"topics": Each(told, request.body.topics)}


def _epoch_end(engine: Engine, topic: str, part: Any) -> Fields:
    partition = engine.topics.partition(topic, part.partition)
    answer = {"partition": part.partition, "error_code": ErrorCode.none}
    if partition is None:
        return answer | {"error_code": ErrorCode.unknown_topic_or_partition}
    if part.current_leader_epoch > LEADER_EPOCH:
        return answer | {"error_code": ErrorCode.unknown_leader_epoch}
    if part.leader_epoch == LEADER_EPOCH:
        return answer | {"leader_epoch": LEADER_EPOCH, "end_offset": partition.end}
    return answer
