"""Who may run and see which transactions (KafkaApis of Apache Kafka)."""

from datetime import UTC, datetime
from typing import Any

from kio.schema.errors import ErrorCode

from bus.broker.rights.call import Call
from bus.broker.rights.groups import no_position, of_positions
from bus.broker.rights.topics import over_topics
from bus.broker.security.rules import Kind, Operation
from bus.broker.wire import Fields

_FAILED = ErrorCode.transactional_id_authorization_failed


async def init_producer_id(call: Call) -> Fields:
    """WRITE on the transactional id; without one, the right to write idempotently or any topic."""
    name = call.body.transactional_id
    if name is not None:
        allowed, error = call.may(Operation.WRITE, Kind.TRANSACTIONAL_ID, name), _FAILED
    else:
        error = ErrorCode.cluster_authorization_failed
        allowed = call.access.may_any(Operation.WRITE, Kind.TOPIC) or call.may_on_cluster(
            Operation.IDEMPOTENT_WRITE
        )
    if allowed:
        return await call.answer()
    return {"error_code": error, "producer_id": -1, "producer_epoch": -1}


async def add_partitions_to_txn(call: Call) -> Fields:
    """WRITE on the transactional id and on each topic; if one is refused, none is added."""
    topics = call.body.v3_and_below_topics
    if not call.may(
        Operation.WRITE, Kind.TRANSACTIONAL_ID, call.body.v3_and_below_transactional_id
    ):
        return {"results_by_topic_v3_and_below": [_added(topic, _FAILED) for topic in topics]}
    _, refused = call.split(topics, Operation.WRITE, Kind.TOPIC, lambda topic: topic.name)
    if not refused:
        return await call.answer()
    lacking = {topic.name for topic in refused}
    results = [
        _added(
            topic,
            ErrorCode.topic_authorization_failed
            if topic.name in lacking
            else ErrorCode.operation_not_attempted,
        )
        for topic in topics
    ]
    return {"results_by_topic_v3_and_below": results}


def _added(topic: Any, error: ErrorCode) -> Fields:
    results = [
        {"partition_index": index, "partition_error_code": error} for index in topic.partitions
    ]
    return {"name": topic.name, "results_by_partition": results}


async def add_offsets_to_txn(call: Call) -> Fields:
    """WRITE on the transactional id, READ on the group."""
    if not call.may(Operation.WRITE, Kind.TRANSACTIONAL_ID, call.body.transactional_id):
        return {"error_code": _FAILED}
    if not call.may(Operation.READ, Kind.GROUP, call.body.group_id):
        return {"error_code": ErrorCode.group_authorization_failed}
    return await call.answer()


async def end_txn(call: Call) -> Fields:
    """WRITE on the transactional id."""
    if call.may(Operation.WRITE, Kind.TRANSACTIONAL_ID, call.body.transactional_id):
        return await call.answer()
    return {"error_code": _FAILED, "producer_id": -1, "producer_epoch": -1}


async def txn_offset_commit(call: Call) -> Fields:
    """WRITE on the transactional id, READ on the group and on each topic."""
    body = call.body
    error = ErrorCode.none
    if not call.may(Operation.WRITE, Kind.TRANSACTIONAL_ID, body.transactional_id):
        error = _FAILED
    elif not call.may(Operation.READ, Kind.GROUP, body.group_id):
        error = ErrorCode.group_authorization_failed
    if error:
        return {"topics": [of_positions(topic, error) for topic in body.topics]}
    return await over_topics(call, Operation.READ, no_position)


async def list_transactions(call: Call) -> Fields:
    """Tell of those that one may describe."""
    answer = await call.answer()
    seen = [
        one
        for one in answer["transaction_states"]
        if call.sees(Operation.DESCRIBE, Kind.TRANSACTIONAL_ID, one["transactional_id"])
    ]
    return {**answer, "transaction_states": seen}


async def describe_transactions(call: Call) -> Fields:
    """DESCRIBE on each transactional id; of its topics, those that one may describe are told."""
    allowed, refused = call.split(
        call.body.transactional_ids, Operation.DESCRIBE, Kind.TRANSACTIONAL_ID, str
    )
    answer = await call.answer(transactional_ids=allowed)
    told = [
        {
            **one,
            "topics": [
                topic
                for topic in one["topics"]
                if call.sees(Operation.DESCRIBE, Kind.TOPIC, topic["topic"])
            ],
        }
        for one in answer["transaction_states"]
    ]
    refusals = [
        {
            "error_code": _FAILED,
            "transactional_id": name,
            "transaction_state": "",
            "transaction_timeout": 0,
            "transaction_start_time": datetime.fromtimestamp(0, UTC),
            "producer_id": 0,
            "producer_epoch": 0,
            "topics": (),
        }
        for name in refused
    ]
    return {**answer, "transaction_states": [*told, *refusals]}
