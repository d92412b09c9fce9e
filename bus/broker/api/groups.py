"""JoinGroup, SyncGroup, Heartbeat, LeaveGroup, and what administrators see of groups."""

from typing import Any

from kio.schema.errors import ErrorCode

from bus.broker.api.positions import drop
from bus.broker.engine import Engine
from bus.broker.groups.group import Group
from bus.broker.groups.member import State
from bus.broker.groups.messages import Join, Sync
from bus.broker.security.access import operations
from bus.broker.security.rules import Kind
from bus.broker.wire import Each, Fields, Request
from bus.broker.writer import StorageFailed

_MEMBER_ID_REQUIRED_SINCE = 4
_SKIP_ASSIGNMENT_SINCE = 9
_MANY_LEAVE_SINCE = 3


async def join_group(engine: Engine, request: Request) -> Fields:
    """Let a member into the next generation and answer once that is complete."""
    body = request.body
    session = body.session_timeout.total_seconds()
    # Version 0 has no rebalance timeout of its own; the default of later ones is negative.
    rebalance = getattr(body, "rebalance_timeout", body.session_timeout).total_seconds()
    join = Join(
        member_id=body.member_id,
        instance=getattr(body, "group_instance_id", None),
        client_id=request.client_id,
        client_host=request.client_host,
        session=session,
        rebalance=rebalance if rebalance >= 0 else session,
        protocol_type=body.protocol_type,
        protocols=tuple((protocol.name, protocol.metadata) for protocol in body.protocols),
        must_be_known=request.version >= _MEMBER_ID_REQUIRED_SINCE,
        may_skip=request.version >= _SKIP_ASSIGNMENT_SINCE,
        principal=request.principal,
    )
    started = engine.groups.clock()
    answer = await engine.groups.joined(body.group_id, join)
    request.waited += engine.groups.clock() - started
    return {
        "error_code": answer.error,
        "generation_id": answer.generation,
        "protocol_type": answer.protocol_type or None,
        "protocol_name": answer.protocol,
        "leader": answer.leader,
        "skip_assignment": answer.skip_assignment,
        "member_id": answer.member_id,
        "members": [
            {
                "member_id": member.member_id,
                "group_instance_id": member.instance,
                "metadata": member.metadata,
            }
            for member in answer.members
        ],
    }


async def sync_group(engine: Engine, request: Request) -> Fields:
    """Hand a member its assignment."""
    body = request.body
    sync = Sync(
        member_id=body.member_id,
        instance=getattr(body, "group_instance_id", None),
        generation=body.generation_id,
        protocol_type=getattr(body, "protocol_type", None),
        protocol=getattr(body, "protocol_name", None),
        assignments=tuple((one.member_id, one.assignment) for one in body.assignments),
        principal=request.principal,
    )
    started = engine.groups.clock()
    answer = await engine.groups.synced(body.group_id, sync)
    request.waited += engine.groups.clock() - started
    return {
        "error_code": answer.error,
        "protocol_type": answer.protocol_type or None,
        "protocol_name": answer.protocol or None,
        "assignment": answer.assignment,
    }


async def heartbeat(engine: Engine, request: Request) -> Fields:
    """Note that a member is alive."""
    body = request.body
    instance = getattr(body, "group_instance_id", None)
    now = engine.groups.clock()
    error = engine.groups.heartbeat(
        body.group_id, body.member_id, instance, body.generation_id, now
    )
    return {"error_code": error}


async def leave_group(engine: Engine, request: Request) -> Fields:
    """Let members go."""
    body, now = request.body, engine.groups.clock()
    if request.version < _MANY_LEAVE_SINCE:
        error = engine.groups.leave(body.group_id, body.member_id, None, now)
        return {"error_code": error}
    members = [
        {
            "member_id": member.member_id,
            "group_instance_id": member.group_instance_id,
            "error_code": engine.groups.leave(
                body.group_id, member.member_id, member.group_instance_id, now
            ),
        }
        for member in body.members
    ]
    return {"error_code": ErrorCode.none, "members": members}


async def list_groups(engine: Engine, request: Request) -> Fields:
    """List groups, all or those in some states."""
    states = {state.lower() for state in getattr(request.body, "states_filter", ())}
    types = {kind.lower() for kind in getattr(request.body, "types_filter", ())}
    groups = [
        group
        for group in engine.groups
        if (not states or group.state.value.lower() in states) and (not types or "classic" in types)
    ]
    return {"error_code": ErrorCode.none, "groups": Each(_listed, groups)}


def _listed(group: Group) -> Fields:
    return {
        "group_id": group.name,
        "protocol_type": group.protocol_type,
        "group_state": group.state.value,
        "group_type": "classic",
    }


async def describe_groups(engine: Engine, request: Request) -> Fields:
    """Describe groups; one that does not exist is dead."""
    rights = getattr(request.body, "include_authorized_operations", False)

    def described(name: str) -> Fields:
        group = engine.groups.get(name)
        one = _described(name, group)
        if rights and group is not None:
            return {**one, "authorized_operations": operations(request.access, Kind.GROUP, name)}
        return one

    return {"groups": Each(described, request.body.groups)}


def _described(name: str, group: Group | None) -> Fields:
    members: list[Any] = group.describe() if group else []
    stable = group is not None and group.state is State.STABLE
    return {
        "error_code": ErrorCode.none,
        "group_id": name,
        "group_state": group.state.value if group else "Dead",
        "protocol_type": group.protocol_type if group else "",
        "protocol_data": group.protocol if group and stable else "",
        "members": Each(_member, members),
    }


def _member(member: Any) -> Fields:
    return {
        "member_id": member.member_id,
        "group_instance_id": member.instance,
        "client_id": member.client_id,
        "client_host": f"/{member.client_host}",
        "member_metadata": member.metadata,
        "member_assignment": member.assignment,
    }


async def delete_groups(engine: Engine, request: Request) -> Fields:
    """Delete groups without members, and their positions."""
    results = [
        {"group_id": name, "error_code": await _delete(engine, name)}
        for name in request.body.groups_names
    ]
    return {"results": results}


async def _delete(engine: Engine, name: str) -> ErrorCode:
    error = engine.groups.may_delete(name)
    if error is not ErrorCode.none:
        return error

    def publish(_: None) -> None:
        engine.positions.pop(name, None)
        engine.forgetting.dropped(name)

    try:
        await engine.transact(lambda store, stage: drop(store, stage, name, None), publish)
    except StorageFailed:
        return ErrorCode.coordinator_not_available
    # Somebody may have joined while the commit was under way.
    if engine.groups.may_delete(name) is ErrorCode.none:
        engine.groups.delete(name)
    return ErrorCode.none
