"""CreateTopics, DeleteTopics, CreatePartitions."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kio.schema.errors import ErrorCode

from bus.broker.configs import TOPIC_CONFIGS, Source, inherited, problem_of, tidied
from bus.broker.engine import NODE_ID, Engine
from bus.broker.stage import Stage
from bus.broker.storage.store import Store
from bus.broker.topics import Topic
from bus.broker.wire import Fields, Request
from bus.broker.writer import StorageFailed
from bus.settings import BrokerSettings

MOST_PARTITIONS = 100_000  # of all topics: each takes a little memory
_DEFAULT_PARTITIONS = 1

Verdict = tuple[ErrorCode, str]
_FINE: Verdict = (ErrorCode.none, "")


async def create_topics(engine: Engine, request: Request) -> Fields:
    """Make topics, or only say whether they could be made."""
    body = request.body
    named = Counter(topic.name for topic in body.topics)
    results = []
    for name, wanted in {topic.name: topic for topic in body.topics}.items():
        if named[name] > 1:
            verdict: Verdict = (ErrorCode.invalid_request, "the topic is named more than once")
        else:
            verdict = _creation_problem(engine, wanted)
        count = _count(wanted)
        configs = {one.name: tidied(one.name, one.value or "") for one in wanted.configs}
        topic = None
        if verdict == _FINE and not body.validate_only:
            verdict, topic = await _create(engine, name, count, configs)
        described = _described(configs, engine.settings)
        results.append(_created(name, topic, verdict, count, described))
    return {"topics": results}


def _count(wanted: Any) -> int:
    if wanted.assignments:
        return len(wanted.assignments)
    return wanted.num_partitions if wanted.num_partitions != -1 else _DEFAULT_PARTITIONS


def _creation_problem(engine: Engine, wanted: Any) -> Verdict:
    verdict = engine.topics.creation_problem(wanted.name)
    if verdict != _FINE:
        return verdict
    if wanted.assignments:
        verdict = _assignment_problem(wanted)
    elif wanted.num_partitions != -1 and wanted.num_partitions <= 0:
        verdict = (ErrorCode.invalid_partitions, "Number of partitions must be larger than 0.")
    elif wanted.replication_factor not in {-1, 1}:
        verdict = (ErrorCode.invalid_replication_factor, "there is one broker")
    if verdict != _FINE:
        return verdict
    if engine.topics.partition_count() + _count(wanted) > MOST_PARTITIONS:
        return ErrorCode.policy_violation, f"there can be {MOST_PARTITIONS} partitions in all"
    reason = problem_of({config.name: config.value for config in wanted.configs})
    return (ErrorCode.invalid_config, reason) if reason else _FINE


def _assignment_problem(wanted: Any) -> Verdict:
    if wanted.num_partitions != -1 or wanted.replication_factor != -1:
        return ErrorCode.invalid_request, "assignments and counts exclude each other"
    indexes = sorted(one.partition_index for one in wanted.assignments)
    if indexes != list(range(len(indexes))):
        return ErrorCode.invalid_replica_assignment, "partitions must count up from 0"
    return _replicas_problem(one.broker_ids for one in wanted.assignments)


def _replicas_problem(replicas: Iterable[Sequence[int]]) -> Verdict:
    if any(list(ids) != [NODE_ID] for ids in replicas):
        return ErrorCode.invalid_replica_assignment, f"the only broker is {NODE_ID}"
    return _FINE


async def _create(
    engine: Engine, name: str, count: int, configs: Mapping[str, str]
) -> tuple[Verdict, Topic | None]:
    try:
        stored = await engine.change(lambda store: store.topics.create(name, count, configs))
    except StorageFailed as error:
        return (ErrorCode.kafka_storage_error, str(error)), None
    topic = Topic(stored, engine.settings.max_batch_bytes)
    engine.topics.add(topic)
    engine.govern(topic)
    return _FINE, topic


def _described(configs: Mapping[str, str], settings: BrokerSettings) -> Sequence[Fields]:
    """Return what a topic's configs are, once it is made."""
    described = []
    for name in TOPIC_CONFIGS:
        value, source = inherited(name, settings)
        if name in configs:
            value, source = configs[name], Source.TOPIC
        described.append(
            {
                "name": name,
                "value": value,
                "read_only": False,
                "config_source": source,
                "is_sensitive": False,
            }
        )
    return described


def _created(
    name: str, topic: Topic | None, verdict: Verdict, count: int, described: Sequence[Fields]
) -> Fields:
    error, reason = verdict
    fine = error is ErrorCode.none
    return {
        "name": name,
        "topic_id": topic.id if topic else None,
        "error_code": error,
        "error_message": reason or None,
        "num_partitions": count if fine else -1,
        "replication_factor": 1 if fine else -1,
        "configs": described if fine else None,
    }


async def delete_topics(engine: Engine, request: Request) -> Fields:
    """Delete topics by name or by id; what they held is deleted in the background."""
    asked = getattr(request.body, "topics", None)
    if asked is None:
        wanted = [(name, None) for name in request.body.topic_names]
    else:
        wanted = [(one.name, one.topic_id) for one in asked]
    named = Counter(wanted)
    return {
        "responses": [await _delete(engine, name, id_, named[name, id_]) for name, id_ in wanted]
    }


async def _delete(engine: Engine, name: str | None, id_: Any, times: int) -> Fields:
    """Delete a topic that the request names so many times."""
    topic = engine.topics.get(name) if name is not None else engine.topics.by_id(id_)
    if times > 1 or (name is not None and id_ is not None):
        error, reason = ErrorCode.invalid_request, "a topic is named once, by name or by id"
        return {"name": name, "topic_id": id_, "error_code": error, "error_message": reason}
    if topic is None:
        named = name is not None
        error = ErrorCode.unknown_topic_or_partition if named else ErrorCode.unknown_topic_id
        return {"name": name, "topic_id": id_, "error_code": error, "error_message": None}
    found = topic
    # Out of force first, so that no batch is queued behind the deletion.
    engine.topics.remove(found)
    error = ErrorCode.none
    try:
        await engine.transact(lambda store, stage: _drop(store, stage, found))
        engine.forget(found)
        engine.telemetry.forget_topic(found.name)
        for positions in engine.positions.values():
            for key in [key for key in positions if key[0] == found.name]:
                del positions[key]
    except StorageFailed:
        engine.topics.add(found)
        error = ErrorCode.kafka_storage_error
    return {"name": found.name, "topic_id": found.id, "error_code": error, "error_message": None}


def _drop(store: Store, stage: Stage, topic: Topic) -> None:
    stage.drop(topic.name, [partition.number for partition in topic.partitions])
    store.topics.drop(topic.number, topic.name)


async def create_partitions(engine: Engine, request: Request) -> Fields:
    """Give topics more partitions, or only say whether they could have them."""
    results = []
    named = Counter(topic.name for topic in request.body.topics)
    for wanted in request.body.topics:
        error, reason = _growth_problem(engine, wanted, named[wanted.name])
        topic = engine.topics.get(wanted.name)
        if error is ErrorCode.none and topic is not None and not request.body.validate_only:
            try:
                await _grow(engine, topic, wanted.count)
            except StorageFailed as failure:
                error, reason = ErrorCode.kafka_storage_error, str(failure)
        results.append({"name": wanted.name, "error_code": error, "error_message": reason or None})
    return {"results": results}


def _growth_problem(engine: Engine, wanted: Any, times: int) -> Verdict:
    topic = engine.topics.get(wanted.name)
    if times > 1:
        return ErrorCode.invalid_request, "the topic is named more than once"
    if topic is None:
        return ErrorCode.unknown_topic_or_partition, "there is no such topic"
    more = wanted.count - len(topic.partitions)
    if more <= 0:
        return ErrorCode.invalid_partitions, f"the topic has {len(topic.partitions)} partitions"
    if engine.topics.partition_count() + more > MOST_PARTITIONS:
        return ErrorCode.policy_violation, f"there can be {MOST_PARTITIONS} partitions in all"
    if wanted.assignments is not None:
        if len(wanted.assignments) != more:
            return ErrorCode.invalid_replica_assignment, f"{more} partitions need an assignment"
        return _replicas_problem(one.broker_ids for one in wanted.assignments)
    return _FINE


async def _grow(engine: Engine, topic: Topic, count: int) -> None:
    ordinals = range(len(topic.partitions), count)
    made = await engine.change(lambda store: store.topics.add_partitions(topic.number, ordinals))
    topic.extend(made)
    engine.topics.add(topic)
    engine.govern(topic)
