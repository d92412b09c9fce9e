"""Produce: batches are checked here, stored by the writer and answered after its commit."""

import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from kio.schema.errors import ErrorCode

from bus.broker.batch import BadBatch, check
from bus.broker.engine import Engine
from bus.broker.faults import AnyFault, Fail, Fault
from bus.broker.stage import Append, Outcome
from bus.broker.topics import Topic
from bus.broker.wire import Fields, Request

ACKS = {-1, 0, 1}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def produce(
    engine: Engine, request: Request, fault: AnyFault | None, done: Callable[[Fields], None]
) -> None:
    """Take a Produce request; `done` gets the answer once every batch is durable or refused."""
    body = request.body
    pending = _Pending(done)
    topics = []
    for data in body.topic_data:
        topic = engine.topics.get(data.name)
        answers = []
        for part in data.partition_data:
            answer: dict[str, Any] = {"index": part.index}
            answers.append(answer)
            refusal = _refusal(body, topic, part.index, fault)
            if refusal is not ErrorCode.none or topic is None:
                _fill(answer, Outcome(refusal))
                continue
            try:
                header = check(part.records, version=request.version, limit=topic.limit)
            except BadBatch as error:
                _fill(answer, Outcome(error.error), error.reason)
                continue
            partition = topic.partitions[part.index]
            answer["log_start_offset"] = partition.start
            pending.open += 1
            settle = pending.settle(engine, topic, header.record_count, len(part.records), answer)
            engine.append(
                Append(
                    partition.number, part.records, header, topic.stamped, settle, _broken(fault)
                )
            )
        topics.append({"name": data.name, "partition_responses": answers})
    pending.finish({"responses": topics})


class _Pending:
    """Counts down the batches of one request."""

    def __init__(self, done: Callable[[Fields], None]) -> None:
        self.open = 1  # the request itself, until all its batches are queued
        self._done = done
        self._answer: Fields = {}

    def settle(
        self, engine: Engine, topic: Topic, records: int, size: int, answer: dict[str, Any]
    ) -> Callable[[Outcome], None]:
        """Return what fills one batch's part of the answer."""

        def settled(outcome: Outcome) -> None:
            _fill(answer, outcome)
            if outcome.error is ErrorCode.none:
                engine.telemetry.produced_records.labels(topic.name).inc(records)
                engine.telemetry.produced_bytes.labels(topic.name).inc(size)
            self.finish(self._answer)

        return settled

    def finish(self, answer: Fields) -> None:
        """Count one down; with the last, the answer is complete."""
        self._answer = answer
        self.open -= 1
        if self.open == 0:
            self._done(self._answer)


def _refusal(body: Any, topic: Topic | None, index: int, fault: AnyFault | None) -> ErrorCode:
    if body.acks not in ACKS:
        return ErrorCode.invalid_required_acks
    if isinstance(fault, Fail):
        return fault.error
    if topic is None or not 0 <= index < len(topic.partitions):
        return ErrorCode.unknown_topic_or_partition
    if body.transactional_id is not None:
        return ErrorCode.transactional_id_authorization_failed
    if topic.partitions[index].damage:
        return ErrorCode.kafka_storage_error
    return ErrorCode.none


def _fill(answer: dict[str, Any], outcome: Outcome, reason: str | None = None) -> None:
    answer["error_code"] = outcome.error
    answer["base_offset"] = outcome.offset
    answer["error_message"] = reason
    answer["record_errors"] = ()
    if outcome.time >= 0:
        answer["log_append_time"] = _EPOCH + timedelta(milliseconds=outcome.time)


def has_errors(fields: Mapping[str, Any]) -> bool:
    """Say whether any batch of an answer was refused."""
    return any(
        part["error_code"] is not ErrorCode.none
        for topic in fields["responses"]
        for part in topic["partition_responses"]
    )


def _broken(fault: AnyFault | None) -> Exception | None:
    if fault is None or fault not in {Fault.COMMIT_FULL, Fault.COMMIT_FAILED}:
        return None
    error = sqlite3.OperationalError(fault)
    full = fault is Fault.COMMIT_FULL
    error.sqlite_errorcode = sqlite3.SQLITE_FULL if full else sqlite3.SQLITE_IOERR
    return error
