"""Who may belong to, change and see which consumer groups (KafkaApis of Apache Kafka)."""

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

from kio.schema.errors import ErrorCode

from bus.broker.rights.call import Call
from bus.broker.rights.topics import over_topics
from bus.broker.security.rules import CLUSTER_NAME, Kind, Operation
from bus.broker.wire import Fields

_FAILED = ErrorCode.group_authorization_failed
_MANY_GROUPS_SINCE = 8  # OffsetFetch version
_ERROR_OF_GROUP_SINCE = 2  # OffsetFetch version


def _member(**nothing: Any) -> Callable[[Call], Awaitable[Fields]]:
    """READ on the group; `nothing` is what an answer holds beside its error."""

    async def right(call: Call) -> Fields:
        if call.may(Operation.READ, Kind.GROUP, call.body.group_id):
            return await call.answer()
        return {"error_code": _FAILED, **nothing}

    return right


join_group = _member(
    generation_id=-1,
    protocol_type=None,
    protocol_name="",
    leader="",
    skip_assignment=False,
    member_id="",
    members=(),
)
sync_group = _member(protocol_type=None, protocol_name=None, assignment=b"")
heartbeat = _member()
leave_group = _member(members=())


async def offset_commit(call: Call) -> Fields:
    """READ on the group and on each topic."""
    if not call.may(Operation.READ, Kind.GROUP, call.body.group_id):
        return {"topics": [of_positions(topic, _FAILED) for topic in call.body.topics]}
    return await over_topics(call, Operation.READ, no_position)


def no_position(topic: Any) -> Fields:
    """Return what is answered about positions in a topic that one may not read."""
    return of_positions(topic, ErrorCode.topic_authorization_failed)


def of_positions(topic: Any, error: ErrorCode) -> Fields:
    """Return the same error for each partition of a topic."""
    parts = [
        {"partition_index": part.partition_index, "error_code": error} for part in topic.partitions
    ]
    return {"name": topic.name, "partitions": parts}


async def offset_delete(call: Call) -> Fields:
    """DELETE on the group, READ on each topic."""
    if not call.may(Operation.DELETE, Kind.GROUP, call.body.group_id):
        return {"error_code": _FAILED, "topics": ()}
    return await over_topics(call, Operation.READ, no_position)


async def offset_fetch(call: Call) -> Fields:
    """DESCRIBE on each group and topic; of all topics, those that one sees are told."""
    if call.request.version < _MANY_GROUPS_SINCE:
        return await _one_group(call)
    allowed, refused = call.split(
        call.body.groups, Operation.DESCRIBE, Kind.GROUP, lambda group: group.group_id
    )
    groups: list[Fields] = [
        {"group_id": group.group_id, "error_code": _FAILED, "topics": ()} for group in refused
    ]
    for group in allowed:
        answer = await call.answer(groups=(_narrowed(call, group),))
        (told,) = answer["groups"]
        groups.append(_all_told(call, group, told))
    return {"groups": groups}


async def _one_group(call: Call) -> Fields:
    group = call.body
    if call.may(Operation.DESCRIBE, Kind.GROUP, group.group_id):
        told = await call.answer(topics=_narrowed(call, group).topics)
        return _all_told(call, group, told)
    topics: list[Fields] = []
    if call.request.version < _ERROR_OF_GROUP_SINCE:
        topics = [_unknown(topic, _FAILED) for topic in group.topics]
    return {"error_code": _FAILED, "topics": topics}


def _narrowed(call: Call, group: Any) -> Any:
    """Return what is asked about a group, without topics that one may not see."""
    if group.topics is None:
        return group
    seen = [one for one in group.topics if call.sees(Operation.DESCRIBE, Kind.TOPIC, one.name)]
    return dataclasses.replace(group, topics=tuple(seen))


def _all_told(call: Call, group: Any, told: Fields) -> Fields:
    """Return what is told of a group, with refusals of topics, and without those left unnamed."""
    if group.topics is None:
        seen = [
            one for one in told["topics"] if call.sees(Operation.DESCRIBE, Kind.TOPIC, one["name"])
        ]
        return {**told, "topics": seen}
    refusals = [
        _unknown(one, ErrorCode.topic_authorization_failed)
        for one in group.topics
        if not call.may(Operation.DESCRIBE, Kind.TOPIC, one.name)
    ]
    return {**told, "topics": [*told["topics"], *refusals]}


def _unknown(topic: Any, error: ErrorCode) -> Fields:
    parts = [
        {
            "partition_index": index,
            "committed_offset": -1,
            "committed_leader_epoch": -1,
            "metadata": "",
            "error_code": error,
        }
        for index in topic.partition_indexes
    ]
    return {"name": topic.name, "partitions": parts}


async def describe_groups(call: Call) -> Fields:
    """DESCRIBE on each group."""
    allowed, refused = call.split(call.body.groups, Operation.DESCRIBE, Kind.GROUP, str)
    answer = await call.answer(groups=allowed) if refused else await call.answer()
    refusals = [
        {
            "error_code": _FAILED,
            "group_id": name,
            "group_state": "",
            "protocol_type": "",
            "protocol_data": "",
            "members": (),
        }
        for name in refused
    ]
    return {**answer, "groups": [*answer["groups"], *refusals]}


async def delete_groups(call: Call) -> Fields:
    """DELETE on each group."""
    allowed, refused = call.split(call.body.groups_names, Operation.DELETE, Kind.GROUP, str)
    answer = await call.answer(groups_names=allowed) if refused else await call.answer()
    refusals = [{"group_id": name, "error_code": _FAILED} for name in refused]
    return {**answer, "results": [*answer["results"], *refusals]}


async def list_groups(call: Call) -> Fields:
    """All groups to who may describe the cluster, to others those that they may describe."""
    answer = await call.answer()
    if call.sees(Operation.DESCRIBE, Kind.CLUSTER, CLUSTER_NAME):
        return answer
    seen = [
        one
        for one in answer["groups"]
        if call.sees(Operation.DESCRIBE, Kind.GROUP, one["group_id"])
    ]
    return {**answer, "groups": seen}
