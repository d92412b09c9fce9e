"""InitProducerId and DescribeProducers: ids for producers, and who writes where."""

from typing import Any

from kio.schema.errors import ErrorCode

from bus.broker.engine import Engine
from bus.broker.stage import Stage
from bus.broker.storage.log import Damaged
from bus.broker.storage.reader import Gone, StoredProducer
from bus.broker.storage.store import Store
from bus.broker.transactions.state import NOBODY, Identity
from bus.broker.wire import Fields, Request
from bus.broker.writer import StorageFailed

_FENCED_SINCE = 4  # InitProducerId version
_NO_EPOCH = -1  # of a transaction coordinator: the only one there is has epoch 0


async def init_producer_id(engine: Engine, request: Request) -> Fields:
    """Give a producer an id and epoch; one per transactional id, to its latest producer."""
    body = request.body
    claimed = Identity(getattr(body, "producer_id", -1), getattr(body, "producer_epoch", -1))
    if (claimed.producer == NOBODY.producer) != (claimed.epoch == NOBODY.epoch):
        return _answer(ErrorCode.invalid_request)
    try:
        if body.transactional_id is None:
            return _answer(ErrorCode.none, Identity(await engine.new_producer_id(), 0))
        given = await _begin(engine, request, claimed)
    except StorageFailed:
        return _answer(ErrorCode.coordinator_not_available)
    if isinstance(given, Identity):
        return _answer(ErrorCode.none, given)
    if given is ErrorCode.producer_fenced and request.version < _FENCED_SINCE:
        given = ErrorCode.invalid_producer_epoch
    return _answer(given)


async def _begin(engine: Engine, request: Request, claimed: Identity) -> Identity | ErrorCode:
    name = str(request.body.transactional_id)
    timeout = round(request.body.transaction_timeout.total_seconds() * 1000)

    def run(store: Store, stage: Stage) -> Identity | ErrorCode:
        return stage.transactions.begin(
            name,
            claimed,
            timeout,
            lambda: store.producers.reserve(1),
            longest=engine.settings.transaction_max_timeout_ms,
        )

    return await engine.transact(run)


def _answer(error: ErrorCode, given: Identity = NOBODY) -> Fields:
    return {"error_code": error, "producer_id": given.producer, "producer_epoch": given.epoch}


async def describe_producers(engine: Engine, request: Request) -> Fields:
    """Tell who writes to partitions, and where open transactions began."""
    topics = []
    for topic in request.body.topics:
        parts = [await _described(engine, topic.name, index) for index in topic.partition_indexes]
        topics.append({"name": topic.name, "partitions": parts})
    return {"topics": topics}


async def _described(engine: Engine, topic: str, index: int) -> Fields:
    partition = engine.topics.partition(topic, index)
    error, found = ErrorCode.none, list[StoredProducer]()
    if partition is None:
        error = ErrorCode.unknown_topic_or_partition
    else:
        number = partition.number
        try:
            found = await engine.query(partition, lambda reader: reader.producers(number))
        except (Damaged, Gone):
            error = ErrorCode.kafka_storage_error
    return {
        "partition_index": index,
        "error_code": error,
        "error_message": None,
        "active_producers": [_active(one) for one in found],
    }


def _active(one: StoredProducer) -> dict[str, Any]:
    opened = one.state.opened
    return {
        "producer_id": one.id,
        "producer_epoch": one.state.epoch,
        "last_sequence": one.state.last,
        "last_timestamp": one.used,
        "coordinator_epoch": _NO_EPOCH,
        "current_txn_start_offset": -1 if opened is None else opened,
    }
