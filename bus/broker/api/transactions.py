"""AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, TxnOffsetCommit, and what administrators see."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from kio.schema.errors import ErrorCode

from bus.broker.api.positions import commit_error, per_partition, take
from bus.broker.engine import Engine
from bus.broker.stage import Stage
from bus.broker.storage.positions import Position
from bus.broker.storage.store import Store
from bus.broker.transactions.state import Identity, Positions, State, Transaction
from bus.broker.wire import Each, Fields, Request
from bus.broker.writer import StorageFailed

_FENCED_SINCE = 2  # of AddPartitionsToTxn, AddOffsetsToTxn and EndTxn
_ABORTABLE_SINCE = 4  # TxnOffsetCommit version
_DAWN = datetime(1970, 1, 1, tzinfo=UTC)
_STATES = {state.value for state in State}


async def add_partitions_to_txn(engine: Engine, request: Request) -> Fields:
    """Add partitions to a transaction, all or none."""
    body = request.body
    wanted = {
        (str(topic.name), int(index)): engine.topics.partition(topic.name, index)
        for topic in body.v3_and_below_topics
        for index in topic.partitions
    }
    numbers = [partition.number for partition in wanted.values() if partition is not None]
    if len(numbers) < len(wanted):
        errors = {
            place: ErrorCode.operation_not_attempted
            if partition is not None
            else ErrorCode.unknown_topic_or_partition
            for place, partition in wanted.items()
        }
    else:
        name = body.v3_and_below_transactional_id
        claimed = Identity(body.v3_and_below_producer_id, body.v3_and_below_producer_epoch)
        error = await _add(engine, request.version, name, claimed, partitions=numbers)
        errors = dict.fromkeys(wanted, error)
    topics = [
        {
            "name": topic.name,
            "results_by_partition": [
                {
                    "partition_index": index,
                    "partition_error_code": errors[topic.name, index],
                    "error_code": errors[topic.name, index],  # for those who count errors
                }
                for index in topic.partitions
            ],
        }
        for topic in body.v3_and_below_topics
    ]
    return {"results_by_topic_v3_and_below": topics}


async def add_offsets_to_txn(engine: Engine, request: Request) -> Fields:
    """Add a group, whose positions will be committed with a transaction."""
    body = request.body
    claimed = Identity(body.producer_id, body.producer_epoch)
    error = await _add(
        engine, request.version, body.transactional_id, claimed, groups=[str(body.group_id)]
    )
    return {"error_code": error}


async def _add(
    engine: Engine,
    version: int,
    name: str,
    claimed: Identity,
    *,
    partitions: Iterable[int] = (),
    groups: Iterable[str] = (),
) -> ErrorCode:
    def run(_: Store, stage: Stage) -> ErrorCode:
        return stage.transactions.add(name, claimed, partitions=partitions, groups=groups)

    try:
        return _known(await engine.transact(run), version)
    except StorageFailed:
        return ErrorCode.coordinator_not_available


async def end_txn(engine: Engine, request: Request) -> Fields:
    """Commit or abort a transaction: its marks, positions and state are one commit."""
    body = request.body
    name, claimed = body.transactional_id, Identity(body.producer_id, body.producer_epoch)
    known = engine.transactions.get(name)
    rivals = engine.transactions.rivals(known.groups) if known else ()

    def run(store: Store, stage: Stage) -> tuple[ErrorCode, Positions]:
        error, positions = stage.transactions.end(
            name, claimed, commit=body.committed, rivals=rivals
        )
        for group, ours in _by_group(positions).items():
            store.positions.write(group, ours, stage.now)
        return error, positions

    def publish(ended: tuple[ErrorCode, Positions]) -> None:
        for group, ours in _by_group(ended[1]).items():
            take(engine, group, ours)

    try:
        error, _ = await engine.transact(run, publish)
    except StorageFailed:
        error = ErrorCode.coordinator_not_available
    return {"error_code": _known(error, request.version)}


def _by_group(positions: Positions) -> dict[str, dict[tuple[str, int], Position]]:
    found: dict[str, dict[tuple[str, int], Position]] = {}
    for (group, topic, index), position in positions.items():
        found.setdefault(group, {})[topic, index] = position
    return found


def _known(error: ErrorCode, version: int) -> ErrorCode:
    """Return an error as a client of this version knows it."""
    if error is ErrorCode.producer_fenced and version < _FENCED_SINCE:
        return ErrorCode.invalid_producer_epoch
    return error


async def txn_offset_commit(engine: Engine, request: Request) -> Fields:
    """Take a group's positions that will be committed with a transaction."""
    body = request.body
    errors: dict[tuple[str, int], ErrorCode] = {}
    accepted: dict[tuple[str, int], Position] = {}
    for topic in body.topics:
        for part in topic.partitions:
            place = (str(topic.name), int(part.partition_index))
            errors[place], position = commit_error(engine, place, part)
            if errors[place] is ErrorCode.none:
                accepted[place] = position
    if not body.group_id:
        errors = dict.fromkeys(errors, ErrorCode.invalid_group_id)
    elif accepted:
        error = await _keep(engine, request, accepted)
        errors |= dict.fromkeys(accepted, error)
    return per_partition(body.topics, errors)


async def _keep(
    engine: Engine, request: Request, positions: Mapping[tuple[str, int], Position]
) -> ErrorCode:
    body = request.body
    name, group = str(body.transactional_id), str(body.group_id)
    claimed = Identity(body.producer_id, body.producer_epoch)
    refused = engine.groups.may_commit_in_transaction(
        group,
        getattr(body, "member_id", ""),
        getattr(body, "group_instance_id", None),
        getattr(body, "generation_id", -1),
    )

    rivals = engine.transactions.rivals({group})

    def run(_: Store, stage: Stage) -> ErrorCode:
        error = stage.transactions.verify(name, claimed, group=group)
        if error is ErrorCode.none and refused is ErrorCode.none:
            stage.transactions.keep(name, group, positions, rivals)
        return error if error is not ErrorCode.none else refused

    def publish(error: ErrorCode) -> None:
        if error is ErrorCode.none:
            engine.groups.meet(group)

    try:
        error = await engine.transact(run, publish)
    except StorageFailed:
        return ErrorCode.coordinator_not_available
    # As the group's coordinator knows nothing of fencing: AddPartitionsToTxnManager of Kafka.
    if error is ErrorCode.producer_fenced:
        return ErrorCode.invalid_producer_epoch
    if error is ErrorCode.transaction_abortable and request.version < _ABORTABLE_SINCE:
        return ErrorCode.invalid_txn_state
    return error


async def list_transactions(engine: Engine, request: Request) -> Fields:
    """List transactions: all, or those of some states, producers, or open for long."""
    body = request.body
    states, producers = set(body.state_filters), set(body.producer_id_filters)
    duration = getattr(body, "duration_filter", -1)
    now = engine.transactions.clock()
    found = [
        one
        for one in engine.transactions
        if (not states or one.state.value in states)
        and (not producers or one.producer in producers)
        and (duration < 0 or now - one.started > duration)
    ]
    return {
        "error_code": ErrorCode.none,
        "unknown_state_filters": tuple(sorted(states - _STATES)),
        "transaction_states": Each(_listed, found),
    }


def _listed(one: Transaction) -> Fields:
    return {
        "transactional_id": one.name,
        "producer_id": one.producer,
        "transaction_state": one.state.value,
    }


async def describe_transactions(engine: Engine, request: Request) -> Fields:
    """Describe transactions by transactional id."""

    def described(name: str) -> Fields:
        return _described(engine, name, engine.transactions.get(name))

    return {"transaction_states": Each(described, request.body.transactional_ids)}


def _described(engine: Engine, name: str, found: Transaction | None) -> Fields:
    if found is None:
        error = ErrorCode.transactional_id_not_found if name else ErrorCode.invalid_request
        return _description(error, name, "", 0, 0, Identity(0, 0), ())
    topics: dict[str, list[int]] = {}
    for topic in engine.topics:
        for index, partition in enumerate(topic.partitions if found.partitions else ()):
            if partition.number in found.partitions:
                topics.setdefault(topic.name, []).append(index)
    described = [{"topic": topic, "partitions": tuple(each)} for topic, each in topics.items()]
    return _description(
        ErrorCode.none,
        name,
        found.state.value,
        found.timeout,
        found.started,
        found.identity,
        described,
    )


def _description(
    error: ErrorCode,
    name: str,
    state: str,
    timeout: int,
    started: int,
    identity: Identity,
    topics: Iterable[Any],
) -> Fields:
    return {
        "error_code": error,
        "transactional_id": name,
        "transaction_state": state,
        "transaction_timeout": timeout,
        "transaction_start_time": _DAWN + timedelta(milliseconds=started),
        "producer_id": identity.producer,
        "producer_epoch": identity.epoch,
        "topics": tuple(topics),
    }
