"""Produce: idempotent producers whose numbers run out, and whose records were deleted."""

from collections.abc import Sequence

import pytest
from confluent_kafka import Producer as ConfluentProducer
from kio.schema.errors import ErrorCode

from tests.broker.raw import Raw, batch
from tests.engine import Engine
from tests.engines.log import delete_before, stored
from tests.engines.test_produce_idempotent import new_producer
from tests.engines.transactor import Transactor
from tests.waiting import until

NONE = ErrorCode.none
GAP = ErrorCode.out_of_order_sequence_number
LAST_EPOCH, LAST_SEQUENCE = 2**15 - 1, 2**31 - 1


async def written(
    raw: Raw, topic: str, producer: tuple[int, int, int], count: int = 1
) -> ErrorCode:
    """Write a batch of so many records, and return what it is told."""
    answer = await raw.produce(topic, batch(*[b"x"] * count, producer=producer))
    return ErrorCode(answer.error_code)


async def test_the_last_epoch(raw: Raw, topic: str) -> None:
    """The largest epoch is one like the others; after it a producer takes a new id."""
    await raw.made(topic)
    id_ = (await new_producer(raw)).producer_id
    asked = [(LAST_EPOCH - 1, 0), (LAST_EPOCH, 0), (LAST_EPOCH, 1), (LAST_EPOCH - 1, 1)]
    told = [await written(raw, topic, (id_, *one)) for one in asked]
    assert told == [NONE, NONE, NONE, ErrorCode.invalid_producer_epoch]
    given = await new_producer(raw, producer_id=id_, producer_epoch=LAST_EPOCH)
    assert (given.error_code, given.producer_epoch) == (NONE, 0)
    assert given.producer_id != id_
    assert await written(raw, topic, (given.producer_id, 0, 0)) is NONE


@pytest.mark.parametrize(
    ("sequences", "errors", "end"),
    [
        pytest.param([(LAST_SEQUENCE - 1, 4), (2, 1)], [NONE, NONE], 5, id="within a batch"),
        pytest.param([(LAST_SEQUENCE - 1, 2), (0, 1)], [NONE, NONE], 3, id="between two"),
        pytest.param([(LAST_SEQUENCE - 1, 4)] * 2, [NONE, NONE], 4, id="a repeat of it"),
        pytest.param([(LAST_SEQUENCE - 1, 4), (3, 1)], [NONE, GAP], 4, id="a gap after it"),
        pytest.param([(LAST_SEQUENCE - 1, 2), (1, 1)], [NONE, GAP], 2, id="a gap of 0"),
    ],
)
async def test_sequences_wrap(
    raw: Raw,
    topic: str,
    sequences: Sequence[tuple[int, int]],
    errors: Sequence[ErrorCode],
    end: int,
) -> None:
    """After sequence number 2^31 - 1 comes 0, also in the middle of a batch."""
    await raw.made(topic)
    id_ = (await new_producer(raw)).producer_id
    told = [await written(raw, topic, (id_, 0, first), count) for first, count in sequences]
    assert told == errors
    assert (await raw.fetch(topic, end)).high_watermark == end


@pytest.mark.parametrize(
    ("sequence", "error"),
    [
        pytest.param(3, NONE, id="the next batch"),
        pytest.param(2, NONE, id="a repeat of the last"),
        pytest.param(4, GAP, id="a gap"),
    ],
)
async def test_deleted_records(raw: Raw, topic: str, sequence: int, error: ErrorCode) -> None:
    """A producer all of whose records were deleted goes on where it was."""
    await raw.made(topic)
    id_ = (await new_producer(raw)).producer_id
    assert [await written(raw, topic, (id_, 0, n)) for n in range(3)] == [NONE] * 3
    assert (await delete_before(raw, topic, -1)).low_watermark == 3
    assert await written(raw, topic, (id_, 0, sequence)) is error
    end = 3 + (sequence == 3)
    assert (await raw.fetch(topic, end)).high_watermark == end


async def test_deleted_records_of_a_transaction(raw: Raw, made: str, producer: Transactor) -> None:
    """A transaction whose records were deleted while it was open ends, and the next one begins."""
    await producer.send(made, b"1")
    assert (await delete_before(raw, made, 1)).low_watermark == 1
    await producer.send(made, b"2")
    assert await producer.end(commit=True) is NONE
    await producer.send(made, b"3")
    assert await producer.end(commit=True) is NONE

    async def stable() -> bool:  # Kafka ends a transaction after it has answered
        found = await raw.fetch(made, 1)
        return bool((found.last_stable_offset, found.high_watermark) == (5, 5))

    await until(stable)


async def test_a_client_whose_records_are_deleted(engine: Engine, raw: Raw, topic: str) -> None:
    """confluent-kafka's idempotent producer goes on after its records were deleted."""
    await raw.made(topic)
    producer = ConfluentProducer(
        {"bootstrap.servers": engine.settings.bootstrap, "enable.idempotence": True}
    )
    for number in range(3):
        producer.produce(topic, b"%d" % number)
        assert producer.flush(20) == 0
        await delete_before(raw, topic, -1)
    producer.produce(topic, b"last")
    assert producer.flush(20) == 0
    assert [(one.offset, one.value) for one in await stored(raw, topic, start=3)] == [(3, b"last")]
