"""OffsetCommit, OffsetFetch, OffsetDelete: groups' positions, durable before they are answered."""

from collections.abc import Mapping, Sequence
from typing import Any

from kio.schema.errors import ErrorCode

from bus.broker.engine import Engine
from bus.broker.stage import Stage
from bus.broker.storage.database import now_ms
from bus.broker.storage.positions import Position
from bus.broker.storage.store import Store
from bus.broker.wire import Each, Fields, Request
from bus.broker.writer import StorageFailed
from bus.pause import Pause

LONGEST_NOTE = 4096  # Kafka's offset.metadata.max.bytes, which counts UTF-16's units of two bytes
_MANY_GROUPS_SINCE = 8
_NOT_FOUND_SINCE = 9  # OffsetCommit version


async def offset_commit(engine: Engine, request: Request) -> Fields:
    """Store a group's positions."""
    body = request.body
    errors: dict[tuple[str, int], ErrorCode] = {}
    accepted: dict[tuple[str, int], Position] = {}
    pause = Pause()
    for topic in body.topics:
        for part in topic.partitions:
            key = (str(topic.name), int(part.partition_index))
            errors[key], position = commit_error(engine, key, part)
            if errors[key] is ErrorCode.none:
                accepted[key] = position
            await pause()
    # Asked last, as members may have come or gone during a pause.
    refused = engine.groups.may_commit(
        body.group_id,
        body.member_id,
        getattr(body, "group_instance_id", None),
        getattr(body, "generation_id_or_member_epoch", getattr(body, "generation_id", -1)),
        engine.groups.clock(),
    )
    if refused is ErrorCode.group_id_not_found and request.version < _NOT_FOUND_SINCE:
        refused = ErrorCode.illegal_generation
    if refused is not ErrorCode.none:
        errors |= dict.fromkeys(accepted, refused)
        accepted = {}
    if accepted:
        kept = getattr(body, "retention_time", None)
        asked = round(kept.total_seconds() * 1000) if kept is not None else -1
        errors |= await _commit(engine, body.group_id, accepted, asked)
    return per_partition(body.topics, errors)


def commit_error(engine: Engine, key: tuple[str, int], part: Any) -> tuple[ErrorCode, Position]:
    """Return why a position cannot be committed, and the position."""
    note = part.committed_metadata or ""
    error = ErrorCode.none
    if engine.topics.partition(*key) is None:
        error = ErrorCode.unknown_topic_or_partition
    elif len(note.encode("utf-16-le")) > 2 * LONGEST_NOTE:
        error = ErrorCode.offset_metadata_too_large
    epoch = getattr(part, "committed_leader_epoch", -1)
    return error, Position(part.committed_offset, epoch, note)


async def _commit(
    engine: Engine, group: str, accepted: Mapping[tuple[str, int], Position], kept: int
) -> Mapping[tuple[str, int], ErrorCode]:
    """Store positions, which are kept for so many milliseconds; -1 is as long as all others."""
    now = now_ms()
    expires = now + kept if kept >= 0 else None
    rivals = engine.transactions.rivals({group})

    def run(store: Store, stage: Stage) -> None:
        store.positions.write(group, accepted, now, expires)
        stage.transactions.overtake(group, accepted, rivals)

    try:
        await engine.transact(run, lambda _: take(engine, group, accepted, expires))
    except StorageFailed:
        return dict.fromkeys(accepted, ErrorCode.coordinator_not_available)
    return {}


def take(
    engine: Engine,
    group: str,
    positions: Mapping[tuple[str, int], Position],
    expires: int | None = None,
) -> None:
    """Put positions in force that are stored, and that may be forgotten at a time of their own."""
    engine.positions.setdefault(group, {}).update(positions)
    engine.groups.know([group])
    engine.forgetting.committed(group, expires)


def per_partition(topics: Sequence[Any], errors: Mapping[tuple[str, int], ErrorCode]) -> Fields:
    """Return the errors of partitions in the order of the topics that were asked for."""

    def told(topic: Any) -> Fields:
        def part(one: Any) -> Fields:
            error = errors[topic.name, one.partition_index]
            return {"partition_index": one.partition_index, "error_code": error}

        return {"name": topic.name, "partitions": Each(part, topic.partitions)}

    return {"error_code": ErrorCode.none, "topics": Each(told, topics)}


async def offset_fetch(engine: Engine, request: Request) -> Fields:
    """Tell groups' positions."""
    body, stable = request.body, bool(getattr(request.body, "require_stable", False))
    if request.version >= _MANY_GROUPS_SINCE:

        def fetched(one: Any) -> Fields:
            return _fetched(engine, one.group_id, one.topics, stable=stable)

        return {"groups": Each(fetched, body.groups)}
    return _fetched(engine, body.group_id, body.topics, stable=stable)


def _fetched(engine: Engine, group: str, topics: Any, *, stable: bool) -> Fields:
    known = engine.positions.get(group, {})
    if topics is None:
        wanted: dict[str, list[int]] = {}
        for topic, index in known:
            wanted.setdefault(topic, []).append(index)
    else:
        wanted = {topic.name: list(topic.partition_indexes) for topic in topics}

    def told(topic: str) -> Fields:
        def position(index: int) -> Fields:
            if stable and engine.transactions.unstable(group, topic, index):
                return _unstable(index)
            return _position(known.get((topic, index)), index)

        return {"name": topic, "partitions": Each(position, wanted[topic])}

    return {"group_id": group, "error_code": ErrorCode.none, "topics": Each(told, list(wanted))}


def _unstable(index: int) -> dict[str, Any]:
    """Tell who asks for stable positions to ask again: a transaction has not ended yet."""
    return _position(None, index) | {"error_code": ErrorCode.unstable_offset_commit}


def _position(position: Position | None, index: int) -> dict[str, Any]:
    offset, epoch, note = position or Position(-1, -1, "")
    return {
        "partition_index": index,
        "committed_offset": offset,
        "committed_leader_epoch": epoch,
        "metadata": note,
        "error_code": ErrorCode.none,
    }


async def offset_delete(engine: Engine, request: Request) -> Fields:
    """Forget some of a group's positions, but none in a topic that its members want."""
    body = request.body
    error = engine.groups.may_forget(body.group_id)
    if error is not ErrorCode.none:
        return {"error_code": error, "topics": ()}
    errors = {
        (topic.name, part.partition_index): _delete_error(
            engine, body.group_id, topic.name, part.partition_index
        )
        for topic in body.topics
        for part in topic.partitions
    }
    gone = [key for key, error in errors.items() if error is ErrorCode.none]

    def publish(_: None) -> None:
        for key in gone:
            engine.positions.get(body.group_id, {}).pop(key, None)

    try:
        await engine.transact(lambda store, stage: drop(store, stage, body.group_id, gone), publish)
    except StorageFailed:
        return {"error_code": ErrorCode.coordinator_not_available, "topics": ()}
    return per_partition(body.topics, errors)


def drop(store: Store, stage: Stage, group: str, places: Sequence[tuple[str, int]] | None) -> None:
    """Forget a group's positions, those of open transactions, too."""
    store.positions.drop(group, places)
    stage.transactions.drop_positions(group, places)


def _delete_error(engine: Engine, name: str, topic: str, index: int) -> ErrorCode:
    if engine.topics.partition(topic, index) is None:
        return ErrorCode.unknown_topic_or_partition
    group = engine.groups.get(name)
    if group is not None and group.subscribed(topic):
        return ErrorCode.group_subscribed_to_topic
    return ErrorCode.none
