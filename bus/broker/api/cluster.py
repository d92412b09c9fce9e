"""Metadata, DescribeCluster, FindCoordinator, DescribeLogDirs: who is there, and what."""

import asyncio
import shutil
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from kio.schema.errors import ErrorCode

from bus.broker.engine import LEADER_EPOCH, NODE_ID, Engine
from bus.broker.security.access import operations
from bus.broker.security.rules import CLUSTER_NAME, Kind, Operation
from bus.broker.topics import Topic, name_problem
from bus.broker.wire import Each, Fields, Request

_BROKER_ENDPOINT = 1
_GROUP, _TRANSACTION = 0, 1
_BY_ID_SINCE = 12  # Metadata version


async def metadata(engine: Engine, request: Request) -> Fields:
    """Describe the broker and topics; none is ever made by asking for it."""
    asked = request.body.topics
    if asked is None or (request.version == 0 and not asked):
        topics = Each(_topic, list(engine.topics))
    else:
        topics = Each(lambda one: _asked_topic(engine, one, request.version), asked)
    if getattr(request.body, "include_topic_authorized_operations", False):
        topics = Each(lambda topic: _with_operations(request, topic), list(topics))
    return {
        "brokers": [_node(engine)],
        "cluster_id": engine.cluster,
        "controller_id": NODE_ID,
        "topics": topics,
        **_on_cluster(request),
    }


def _with_operations(request: Request, topic: Fields) -> Fields:
    if topic["error_code"]:
        return topic
    allowed = operations(request.access, Kind.TOPIC, topic["name"])
    return {**topic, "topic_authorized_operations": allowed}


def _on_cluster(request: Request) -> Fields:
    """Return what may be done to the cluster if it was asked for, to who may describe it."""
    if not getattr(request.body, "include_cluster_authorized_operations", False):
        return {}
    allowed = operations(request.access, Kind.CLUSTER, CLUSTER_NAME)
    sees = allowed & 1 << Operation.DESCRIBE
    return {"cluster_authorized_operations": allowed if sees else 0}


def _node(engine: Engine) -> Fields:
    address = engine.address
    return {
        "node_id": NODE_ID,
        "broker_id": NODE_ID,
        "host": address.host,
        "port": address.port,
        "rack": None,
    }


def _asked_topic(engine: Engine, asked: Any, version: int) -> Fields:
    if version < _BY_ID_SINCE and asked.name is None:
        return _no_topic(ErrorCode.invalid_request, "", asked.topic_id)
    if asked.name is not None:
        topic = engine.topics.get(asked.name)
        error = ErrorCode.unknown_topic_or_partition
        if topic is None and name_problem(asked.name):
            error = ErrorCode.invalid_topic_exception
        return _topic(topic) if topic else _no_topic(error, asked.name, None)
    topic = engine.topics.by_id(asked.topic_id)
    return _topic(topic) if topic else _no_topic(ErrorCode.unknown_topic_id, None, asked.topic_id)


def _no_topic(error: ErrorCode, name: str | None, id_: UUID | None) -> Fields:
    return {"error_code": error, "name": name, "topic_id": id_, "partitions": ()}


def _topic(topic: Topic) -> Fields:
    return {
        "error_code": ErrorCode.none,
        "name": topic.name,
        "topic_id": topic.id,
        "partitions": Each(_partition, range(len(topic.partitions))),
    }


def _partition(index: int) -> Fields:
    return {
        "error_code": ErrorCode.none,
        "partition_index": index,
        "leader_id": NODE_ID,
        "leader_epoch": LEADER_EPOCH,
        "replica_nodes": (NODE_ID,),
        "isr_nodes": (NODE_ID,),
    }


async def describe_cluster(engine: Engine, request: Request) -> Fields:
    """Describe the one node."""
    if getattr(request.body, "endpoint_type", _BROKER_ENDPOINT) != _BROKER_ENDPOINT:
        return {
            "error_code": ErrorCode.unsupported_endpoint_type,
            "error_message": "there are only brokers here",
            "cluster_id": "",
            "brokers": (),
        }
    return {
        "error_code": ErrorCode.none,
        "error_message": None,
        "cluster_id": engine.cluster,
        "controller_id": NODE_ID,
        "brokers": [_node(engine)],
        **_on_cluster(request),
    }


async def find_coordinator(engine: Engine, request: Request) -> Fields:
    """Name this node as the coordinator of every group and of every transaction."""
    body = request.body
    kind = getattr(body, "key_type", _GROUP)
    error, message = ErrorCode.none, None
    if kind not in {_GROUP, _TRANSACTION}:
        error, message = ErrorCode.invalid_request, "unknown kind of coordinator"
    node = _node(engine) if error is ErrorCode.none else {"node_id": -1, "host": "", "port": -1}
    answer = {"error_code": error, "error_message": message, **node}
    keys = getattr(body, "coordinator_keys", ())
    return answer | {"coordinators": [answer | {"key": key} for key in keys]}


async def describe_log_dirs(engine: Engine, request: Request) -> Fields:
    """Say how much room partitions take."""
    asked = request.body.topics
    if asked is None:
        wanted = {topic.name: list(range(len(topic.partitions))) for topic in engine.topics}
    else:
        wanted = {one.topic: _there(engine, one) for one in asked}
    topics = [(name, indexes) for name, indexes in wanted.items() if indexes]
    disk = await asyncio.to_thread(shutil.disk_usage, engine.path.parent)
    directory = {
        "error_code": ErrorCode.none,
        "log_dir": str(engine.path.parent),
        "topics": Each(lambda one: _sizes(engine, *one), topics),
        "total_bytes": disk.total,
        "usable_bytes": disk.free,
    }
    return {"error_code": ErrorCode.none, "results": [directory]}


def _there(engine: Engine, asked: Any) -> list[int]:
    """Return which of the partitions that are asked for exist."""
    topic = engine.topics.get(asked.topic)
    count = len(topic.partitions) if topic else 0
    return [index for index in asked.partitions if 0 <= index < count]


def _sizes(engine: Engine, name: str, indexes: Sequence[int]) -> Fields:
    def size(index: int) -> Fields:
        partition = engine.topics.partition(name, index)
        return {
            "partition_index": index,
            "partition_size": partition.size if partition else 0,
            "offset_lag": 0,
            "is_future_key": False,
        }

    return {"name": name, "partitions": Each(size, indexes)}
