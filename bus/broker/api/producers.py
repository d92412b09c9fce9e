"""InitProducerId: ids for idempotent producers."""

from kio.schema.errors import ErrorCode

from bus.broker.engine import Engine
from bus.broker.wire import Fields, Request
from bus.broker.writer import StorageFailed


async def init_producer_id(engine: Engine, request: Request) -> Fields:
    """Give a producer an id of its own; there are no transactional producers yet."""
    if request.body.transactional_id is not None:
        return _answer(ErrorCode.transactional_id_authorization_failed)
    try:
        return _answer(ErrorCode.none, await engine.new_producer_id(), 0)
    except StorageFailed:
        return _answer(ErrorCode.coordinator_not_available)


def _answer(error: ErrorCode, producer_id: int = -1, epoch: int = -1) -> Fields:
    return {"error_code": error, "producer_id": producer_id, "producer_epoch": epoch}
