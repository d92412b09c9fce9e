"""DeleteRecords: partitions begin at a later offset, at once; what lay before it is deleted."""

from typing import Any

from kio.schema.errors import ErrorCode

from bus.broker.engine import Engine
from bus.broker.topics import Topic
from bus.broker.wire import Fields, Request
from bus.broker.writer import StorageFailed

_END = -1


async def delete_records(engine: Engine, request: Request) -> Fields:
    """Delete the records before an offset, of each partition that is named."""
    topics = []
    for wanted in request.body.topics:
        parts = [await _deleted(engine, wanted.name, part) for part in wanted.partitions]
        topics.append({"name": wanted.name, "partitions": parts})
    return {"topics": topics}


async def _deleted(engine: Engine, name: str, part: Any) -> Fields:
    topic = engine.topics.get(name)
    error = _refusal(topic, part)
    low = -1
    if error is ErrorCode.none and topic is not None:
        partition = topic.partitions[part.partition_index]
        start = partition.end if part.offset == _END else part.offset
        try:
            if start > partition.start:
                await engine.begin(partition, start)
            low = partition.start
        except StorageFailed:
            error = ErrorCode.kafka_storage_error
    return {"partition_index": part.partition_index, "low_watermark": low, "error_code": error}


def _refusal(topic: Topic | None, part: Any) -> ErrorCode:
    """Say why records cannot be deleted (ReplicaManager.deleteRecordsOnLocalLog)."""
    if topic is None or not 0 <= part.partition_index < len(topic.partitions):
        return ErrorCode.unknown_topic_or_partition
    if "delete" not in topic.configs.get("cleanup.policy", "delete").split(","):
        return ErrorCode.policy_violation
    partition = topic.partitions[part.partition_index]
    if partition.damage:
        return ErrorCode.kafka_storage_error
    if part.offset != _END and not 0 <= part.offset <= partition.end:
        return ErrorCode.offset_out_of_range
    return ErrorCode.none
