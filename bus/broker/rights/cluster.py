"""Who may see and change the cluster as a whole, configs, rules and users."""

from collections.abc import Awaitable, Callable
from typing import Any

from kio.schema.errors import ErrorCode

from bus.broker.rights.call import Call
from bus.broker.security.rules import CLUSTER_NAME, Kind, Operation
from bus.broker.wire import Fields
from bus.pause import Pause

_FAILED = ErrorCode.cluster_authorization_failed
_TOPIC, _GROUP_CONFIGS = 2, 32  # types of resources that have configs
_GROUP, _TRANSACTION = 0, 1  # kinds of coordinators
_MANY_SINCE = 4  # FindCoordinator version

_REFUSED = {
    Kind.TOPIC: ErrorCode.topic_authorization_failed,
    Kind.GROUP: ErrorCode.group_authorization_failed,
    Kind.TRANSACTIONAL_ID: ErrorCode.transactional_id_authorization_failed,
    Kind.CLUSTER: _FAILED,
}


async def free(call: Call) -> Fields:
    """Everybody may."""
    return await call.answer()


def on_cluster(
    operation: Operation, refusal: Callable[[Any], Fields]
) -> Callable[[Call], Awaitable[Fields]]:
    """One right on the cluster; `refusal` makes the answer to who lacks it of the request."""

    async def right(call: Call) -> Fields:
        if call.may_on_cluster(operation):
            return await call.answer()
        return refusal(call.body)

    return right


async def metadata(call: Call) -> Fields:
    """DESCRIBE on each topic that is named; of all topics, those that one sees are told."""
    asked = call.body.topics
    if asked is None or (call.request.version == 0 and not asked):
        answer = await call.answer()
        seen, pause = [], Pause()
        for one in answer["topics"]:
            if call.sees(Operation.DESCRIBE, Kind.TOPIC, one["name"]):
                seen.append(one)
            await pause()
        return {**answer, "topics": seen}
    allowed: list[Any] = []
    refusals: list[Fields] = []
    for one in asked:
        id_ = getattr(one, "topic_id", None)
        found = None if one.name is not None or id_ is None else call.engine.topics.by_id(id_)
        name = one.name if one.name is not None else (found.name if found else None)
        if name is None or call.may(Operation.DESCRIBE, Kind.TOPIC, name):
            allowed.append(one)
        else:
            refusals.append(_no_topic(one.name, id_ if one.name is None else None))
    # Nothing that is left to ask for is no more than nothing: only before version 1 it were all.
    if allowed or call.request.version > 0:
        answer = await call.answer(topics=tuple(allowed))
    else:
        answer = {**await call.answer(), "topics": ()}
    return {**answer, "topics": [*answer["topics"], *refusals]}


def _no_topic(name: str | None, id_: Any) -> Fields:
    error = ErrorCode.topic_authorization_failed
    return {"error_code": error, "name": name, "topic_id": id_, "partitions": ()}


async def find_coordinator(call: Call) -> Fields:
    """DESCRIBE on the group or transactional id."""
    kinds = {_GROUP: Kind.GROUP, _TRANSACTION: Kind.TRANSACTIONAL_ID}
    kind = kinds.get(getattr(call.body, "key_type", _GROUP))
    if kind is None:
        return await call.answer()
    if call.request.version < _MANY_SINCE:
        if call.may(Operation.DESCRIBE, kind, call.body.key):
            return await call.answer()
        return _no_coordinator(kind, call.body.key)
    allowed, refused = call.split(call.body.coordinator_keys, Operation.DESCRIBE, kind, str)
    if not refused:
        return await call.answer()
    answer = await call.answer(coordinator_keys=allowed)
    refusals = [_no_coordinator(kind, key) for key in refused]
    return {**answer, "coordinators": [*answer["coordinators"], *refusals]}


def _no_coordinator(kind: Kind, key: str) -> Fields:
    return {
        "error_code": _REFUSED[kind],
        "error_message": None,
        "node_id": -1,
        "host": "",
        "port": -1,
        "key": key,
    }


def on_configs(
    operation: Operation, answered: str, **nothing: Any
) -> Callable[[Call], Awaitable[Fields]]:
    """The right on each topic or group that has the configs, and on the cluster for all else.

    Args:
        operation: what one has to be allowed.
        answered: what the list of resources is called in the answer.
        nothing: what an answer about one resource holds beside its error.
    """

    async def right(call: Call) -> Fields:
        allowed: list[Any] = []
        refusals: list[Fields] = []
        for one in call.body.resources:
            kind, name = _owner(one)
            if call.may(operation, kind, name):
                allowed.append(one)
                continue
            refusals.append(
                {
                    "error_code": _REFUSED[kind],
                    "error_message": None,
                    "resource_type": one.resource_type,
                    "resource_name": one.resource_name,
                    **nothing,
                }
            )
        if not refusals:
            return await call.answer()
        answer = await call.answer(resources=tuple(allowed))
        return {**answer, answered: [*answer[answered], *refusals]}

    return right


def _owner(resource: Any) -> tuple[Kind, str]:
    if resource.resource_type == _TOPIC:
        return Kind.TOPIC, resource.resource_name
    if resource.resource_type == _GROUP_CONFIGS:
        return Kind.GROUP, resource.resource_name
    return Kind.CLUSTER, CLUSTER_NAME


describe_configs = on_configs(Operation.DESCRIBE_CONFIGS, "results", configs=())
alter_configs = on_configs(Operation.ALTER_CONFIGS, "responses")

_REASON: Fields = {"error_code": _FAILED, "error_message": "Cluster authorization failed."}

describe_log_dirs = on_cluster(
    Operation.DESCRIBE, lambda body: {"error_code": _FAILED, "results": ()}
)
describe_acls = on_cluster(Operation.DESCRIBE, lambda body: {**_REASON, "resources": ()})
create_acls = on_cluster(Operation.ALTER, lambda body: {"results": [_REASON] * len(body.creations)})
delete_acls = on_cluster(
    Operation.ALTER,
    lambda body: {"filter_results": [{**_REASON, "matching_acls": ()}] * len(body.filters)},
)
describe_users = on_cluster(Operation.DESCRIBE, lambda body: {**_REASON, "results": ()})
alter_users = on_cluster(
    Operation.ALTER,
    lambda body: {
        "results": [
            {**_REASON, "user": name}
            for name in dict.fromkeys(one.name for one in (*body.deletions, *body.upsertions))
        ]
    },
)
