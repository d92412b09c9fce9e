"""Who may read, change and see which topics (KafkaApis and ControllerApis of Apache Kafka)."""

from collections.abc import Awaitable, Callable, Iterable
from operator import attrgetter
from typing import Any

from kio.schema.errors import ErrorCode

from bus.broker.rights.call import Call
from bus.broker.security.rules import CLUSTER_NAME, Kind, Operation
from bus.broker.wire import Fields

_FAILED = ErrorCode.topic_authorization_failed
_FOLLOWER = 0  # replica ids from here on are brokers, those of clients are negative

Refusal = Callable[[Any], Fields]


async def over_topics(
    call: Call,
    operation: Operation,
    refusal: Refusal,
    *,
    asked: str = "topics",
    answered: str = "topics",
    name: str = "name",
) -> Fields:
    """Answer about the topics that one may use, and refuse the others.

    Args:
        call: the request.
        operation: what one has to be allowed.
        refusal: what is answered about a topic that one may not use.
        asked, answered: what the lists of topics are called in request and answer.
        name: what a topic's name is called in the request.
    """
    topics = getattr(call.body, asked)
    allowed, refused = call.split(topics, operation, Kind.TOPIC, attrgetter(name))
    if not refused:
        return await call.answer()
    answer = await call.answer(**{asked: allowed})
    return {**answer, answered: [*answer[answered], *map(refusal, refused)]}


def _over(
    operation: Operation, refusal: Refusal, **names: str
) -> Callable[[Call], Awaitable[Fields]]:
    async def right(call: Call) -> Fields:
        return await over_topics(call, operation, refusal, **names)

    return right


def _parts(indexes: Iterable[int], **fields: Any) -> list[Fields]:
    return [{"partition_index": index, "error_code": _FAILED, **fields} for index in indexes]


def _not_fetched(topic: Any) -> Fields:
    nothing = {
        "high_watermark": -1,
        "last_stable_offset": -1,
        "log_start_offset": -1,
        "aborted_transactions": None,
        "records": b"",
    }
    return {
        "topic": topic.topic,
        "partitions": _parts((part.partition for part in topic.partitions), **nothing),
    }


def _without_lost(call: Call, answer: Fields) -> Fields:
    """Keep back what one may not read any more: a fetch waits for as long as the client says."""
    lost = {
        topic.topic: topic
        for topic in call.body.topics
        if not call.sees(Operation.READ, Kind.TOPIC, topic.topic)
    }
    if not lost:
        return answer
    kept = [one for one in answer["responses"] if one["topic"] not in lost]
    for name in lost:
        call.may(Operation.READ, Kind.TOPIC, name)  # for the audit log
    return {**answer, "responses": [*kept, *map(_not_fetched, lost.values())]}


async def fetch(call: Call) -> Fields:
    """READ on each topic; who comes as a broker may fetch nothing, as there is no other one."""
    if getattr(call.body, "replica_id", -1) < _FOLLOWER:
        answer = await over_topics(
            call, Operation.READ, _not_fetched, answered="responses", name="topic"
        )
        return _without_lost(call, answer)
    if call.may_on_cluster(Operation.CLUSTER_ACTION):
        return await call.answer()
    return {
        "error_code": ErrorCode.none,
        "responses": [_not_fetched(topic) for topic in call.body.topics],
    }


def _not_listed(topic: Any) -> Fields:
    indexes = (part.partition_index for part in topic.partitions)
    nothing = {"timestamp": -1, "offset": -1, "leader_epoch": -1}
    return {"name": topic.name, "partitions": _parts(indexes, **nothing)}


list_offsets = _over(Operation.DESCRIBE, _not_listed)


def _no_epoch(topic: Any) -> Fields:
    parts = [{"partition": part.partition, "error_code": _FAILED} for part in topic.partitions]
    return {"topic": topic.topic, "partitions": parts}


offset_for_leader_epoch = _over(Operation.DESCRIBE, _no_epoch, name="topic")


def _not_deleted(topic: Any) -> Fields:
    indexes = (part.partition_index for part in topic.partitions)
    return {"name": topic.name, "partitions": _parts(indexes, low_watermark=-1)}


delete_records = _over(Operation.DELETE, _not_deleted)


def _no_producers(topic: Any) -> Fields:
    nothing: Fields = {"error_message": None, "active_producers": ()}
    return {"name": topic.name, "partitions": _parts(topic.partition_indexes, **nothing)}


describe_producers = _over(Operation.READ, _no_producers)


def _not_grown(topic: Any) -> Fields:
    return {"name": topic.name, "error_code": _FAILED, "error_message": None}


create_partitions = _over(Operation.ALTER, _not_grown, answered="results")


async def create_topics(call: Call) -> Fields:
    """CREATE on the cluster or on each topic; configs are told to who may describe them."""
    if call.sees(Operation.CREATE, Kind.CLUSTER, CLUSTER_NAME):
        answer = await call.answer()
    else:
        answer = await over_topics(call, Operation.CREATE, _not_made)
    return {**answer, "topics": [_without_configs(call, topic) for topic in answer["topics"]]}


def _not_made(topic: Any) -> Fields:
    return {
        "name": topic.name,
        "topic_id": None,
        "error_code": _FAILED,
        "error_message": "Authorization failed.",
        "num_partitions": -1,
        "replication_factor": -1,
        "configs": None,
    }


def _without_configs(call: Call, topic: Fields) -> Fields:
    if topic["error_code"] or call.sees(Operation.DESCRIBE_CONFIGS, Kind.TOPIC, topic["name"]):
        return topic
    return {
        **topic,
        "topic_config_error_code": _FAILED,
        "num_partitions": -1,
        "replication_factor": -1,
        "configs": (),
    }


async def delete_topics(call: Call) -> Fields:
    """DELETE on each topic; of one that is named by its id, the name is told to who sees it."""
    if getattr(call.body, "topics", None) is None:
        names = call.body.topic_names
        allowed, refused = call.split(names, Operation.DELETE, Kind.TOPIC, str)
        left: dict[str, Any] = {"topic_names": allowed}
        refusals = [_not_dropped(name, None) for name in refused]
    else:
        some: list[Any] = []
        refusals = []
        for one in call.body.topics:
            found = None if one.topic_id is None else call.engine.topics.by_id(one.topic_id)
            name = one.name or (found.name if found else None)
            if name is None or call.may(Operation.DELETE, Kind.TOPIC, name):
                some.append(one)
                continue
            hidden = one.name is None and not call.sees(Operation.DESCRIBE, Kind.TOPIC, name)
            refusals.append(_not_dropped(None if hidden else name, one.topic_id))
        left = {"topics": tuple(some)}
    if not refusals:
        return await call.answer()
    answer = await call.answer(**left)
    return {**answer, "responses": [*answer["responses"], *refusals]}


def _not_dropped(name: str | None, id_: Any) -> Fields:
    return {"name": name, "topic_id": id_, "error_code": _FAILED, "error_message": None}
