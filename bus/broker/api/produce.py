"""Produce: batches are checked here, stored by the writer and answered after its commit."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kio.schema.errors import ErrorCode

from bus.broker.batch import TRANSACTIONAL, BadBatch, check
from bus.broker.engine import Engine
from bus.broker.faults import AnyFault, Fail, Fault
from bus.broker.produced import PartAnswer, TopicAnswer
from bus.broker.stage import Append, Outcome
from bus.broker.topics import Topic
from bus.broker.wire import Request
from bus.pause import Pause

ACKS = {-1, 0, 1}
_ABORTABLE_SINCE = 11
_NO_ID = "a batch of a transaction comes with the producer's transactional id"

Done = Callable[[list[TopicAnswer]], None]


async def produce(engine: Engine, request: Request, fault: AnyFault | None, done: Done) -> None:
    """Take a Produce request; `done` gets the answer once every batch is durable or refused."""
    pending, pause = _Pending(done), Pause()
    for data in request.body.topic_data:
        answer = TopicAnswer(data.name)
        pending.topics.append(answer)
        topic = engine.topics.get(data.name)
        for part in data.partition_data:
            await pause()
            settled = PartAnswer(part.index)
            answer.parts.append(settled)
            settled.error = _refusal(request.body, topic, part.index, fault)
            if settled.error is ErrorCode.none and topic is not None:
                _take(engine, request, topic, part.records, settled, pending, fault)
    pending.finish()


class _Pending:
    """Counts down the batches of one request."""

    def __init__(self, done: Done) -> None:
        self.topics: list[TopicAnswer] = []
        self._open = 1  # the request itself, until all its batches are queued
        self._done = done

    def begin(self) -> None:
        """Count one batch more."""
        self._open += 1

    def finish(self) -> None:
        """Count one down; with the last, the answer is complete."""
        self._open -= 1
        if self._open == 0:
            self._done(self.topics)


@dataclass(frozen=True, slots=True)
class _Settled:
    """Told what became of a batch, which is the answer's part; no closure, as thousands wait."""

    engine: Engine
    topic: Topic
    answer: PartAnswer
    pending: _Pending
    version: int
    records: int
    size: int

    def __call__(self, outcome: Outcome) -> None:
        answer = self.answer
        answer.error, answer.offset, answer.time = outcome.error, outcome.offset, outcome.time
        answer.reason, answer.named = outcome.reason, outcome.named
        if outcome.error is ErrorCode.transaction_abortable and self.version < _ABORTABLE_SINCE:
            answer.error = ErrorCode.invalid_txn_state
        if outcome.error is ErrorCode.none and not outcome.repeat:
            self.topic.produced(self.engine.telemetry, self.records, self.size)
        self.pending.finish()


def _take(
    engine: Engine,
    request: Request,
    topic: Topic,
    records: bytes | None,
    answer: PartAnswer,
    pending: _Pending,
    fault: AnyFault | None,
) -> None:
    """Check one batch and queue it, or say in the answer why not."""
    try:
        header = check(records, version=request.version, limit=topic.limit)
        _require_few(header.record_count, engine.settings.max_batch_records)
        if header.attributes & TRANSACTIONAL and request.body.transactional_id is None:
            raise BadBatch(ErrorCode.transactional_id_authorization_failed, _NO_ID)
    except BadBatch as error:
        answer.error, answer.reason = error.error, error.reason
        return
    batch = records or b""
    partition = topic.partitions[answer.index]
    answer.start = partition.start

    pending.begin()
    engine.append(
        Append(
            partition.number,
            batch,
            header,
            topic.stamped,
            _Settled(
                engine, topic, answer, pending, request.version, header.record_count, len(batch)
            ),
            demands=topic.demands,
            transactional_id=request.body.transactional_id,
            source=request.lane,
            fault=_broken(fault),
        )
    )


def _require_few(count: int, most: int) -> None:
    if count > most:
        raise BadBatch(ErrorCode.message_too_large, f"{count} records are above {most}")


def _refusal(body: Any, topic: Topic | None, index: int, fault: AnyFault | None) -> ErrorCode:
    if body.acks not in ACKS:
        return ErrorCode.invalid_required_acks
    if isinstance(fault, Fail):
        return fault.error
    if topic is None or not 0 <= index < len(topic.partitions):
        return ErrorCode.unknown_topic_or_partition
    if topic.partitions[index].damage:
        return ErrorCode.kafka_storage_error
    return ErrorCode.none


def _broken(fault: AnyFault | None) -> Exception | None:
    if fault is None or fault not in {Fault.COMMIT_FULL, Fault.COMMIT_FAILED}:
        return None
    error = sqlite3.OperationalError(fault)
    full = fault is Fault.COMMIT_FULL
    error.sqlite_errorcode = sqlite3.SQLITE_FULL if full else sqlite3.SQLITE_IOERR
    return error
