"""Produce: idempotent producers, whose batches are stored once and in order."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from bus.settings import Address
from tests.broker.raw import DEADLINE, Raw, batch

NONE = ErrorCode.none
TWO = batch(b"one", b"two")


async def new_producer(raw: Raw, **more: Any) -> Any:
    """Ask for the id of a producer without transactions, until a broker that starts has some."""
    fields = {"transactional_id": None, "transaction_timeout": 60_000, **more}
    async with asyncio.timeout(DEADLINE):
        while True:  # each look is a request of its own
            given = await raw.ask(ApiKey.INIT_PRODUCER_ID, 4, **fields)
            if given.error_code is not ErrorCode.coordinator_load_in_progress:
                return given


async def test_producer_ids(address: Address) -> None:
    """Every producer is given an id of its own, and epoch 0."""
    async with await Raw.to(address) as one, await Raw.to(address) as other:
        given = [await new_producer(raw) for raw in (one, other, one, other)]
    assert [(one.error_code, one.producer_epoch) for one in given] == [(NONE, 0)] * 4
    assert len({one.producer_id for one in given}) == 4


async def test_producer_ids_again(raw: Raw) -> None:
    """A producer without transactions that names its id and epoch gets a new id all the same."""
    first = await new_producer(raw)
    again = await new_producer(raw, producer_id=first.producer_id, producer_epoch=0)
    assert (again.error_code, again.producer_epoch) == (NONE, 0)
    assert again.producer_id != first.producer_id


@pytest.mark.parametrize(
    ("sequences", "errors", "end"),
    [
        pytest.param([0, 1, 2], [NONE] * 3, 3, id="in order"),
        pytest.param([0, 0], [NONE, NONE], 1, id="a repeat is stored once"),
        pytest.param([0, 2], [NONE, ErrorCode.out_of_order_sequence_number], 1, id="a gap"),
        pytest.param(
            [0, 2, 1, 2],
            [NONE, ErrorCode.out_of_order_sequence_number, NONE, NONE],
            3,
            id="a gap that is filled",
        ),
        pytest.param(
            [0, 1, 2, 3, 4, 0], [NONE] * 6, 5, id="a repeat of the oldest of the last five"
        ),
        pytest.param(
            [0, 1, 2, 3, 4, 5, 0],
            [NONE] * 6 + [ErrorCode.out_of_order_sequence_number],
            6,
            id="a repeat from before the last five",
        ),
        pytest.param([2**31 - 1, 0, 1], [NONE] * 3, 3, id="after 2^31 - 1 comes 0"),
        pytest.param([7, 8], [NONE] * 2, 2, id="an unknown producer may begin anywhere"),
    ],
)
async def test_sequences(
    raw: Raw, topic: str, sequences: Sequence[int], errors: Sequence[ErrorCode], end: int
) -> None:
    """An idempotent producer's batches are stored once and without gaps."""
    await raw.made(topic)
    producer = (await new_producer(raw)).producer_id
    answers = [
        await raw.produce(topic, batch(b"x", producer=(producer, 0, sequence)))
        for sequence in sequences
    ]
    assert [answer.error_code for answer in answers] == errors
    assert (await raw.fetch(topic, end)).high_watermark == end


async def test_a_repeat_is_answered_as_the_first_time(raw: Raw, topic: str) -> None:
    """A repeated batch is answered with the offset that it got at first."""
    await raw.made(topic)
    producer = (await new_producer(raw)).producer_id
    await raw.produce(topic, TWO)
    first = await raw.produce(topic, batch(b"x", producer=(producer, 0, 0)))
    await raw.produce(topic, batch(b"y", producer=(producer, 0, 1)))
    again = await raw.produce(topic, batch(b"x", producer=(producer, 0, 0)))
    assert (first.base_offset, again.base_offset) == (2, 2)


@pytest.mark.parametrize(
    ("epoch", "sequence", "error"),
    [
        pytest.param(5, 1, NONE, id="its own"),
        pytest.param(4, 1, ErrorCode.invalid_producer_epoch, id="an old one"),
        pytest.param(6, 0, NONE, id="a new one begins at 0"),
        pytest.param(
            6, 1, ErrorCode.out_of_order_sequence_number, id="a new one that goes on counting"
        ),
    ],
)
async def test_epochs(raw: Raw, topic: str, epoch: int, sequence: int, error: ErrorCode) -> None:
    """A producer's older epochs are refused, a newer one begins to count anew."""
    await raw.made(topic)
    producer = (await new_producer(raw)).producer_id
    await raw.produce(topic, batch(b"x", producer=(producer, 5, 0)))
    answer = await raw.produce(topic, batch(b"y", producer=(producer, epoch, sequence)))
    assert answer.error_code is error


async def test_sequences_are_per_partition(raw: Raw, topic: str) -> None:
    """Each partition counts a producer's batches for itself."""
    await raw.made(topic, 2)
    producer = (await new_producer(raw)).producer_id
    answers = [
        await raw.produce(topic, batch(b"x", producer=(producer, 0, sequence)), partition=index)
        for index, sequence in ((0, 0), (1, 0), (0, 1), (1, 1))
    ]
    assert [(one.error_code, one.base_offset) for one in answers] == [
        (NONE, 0),
        (NONE, 0),
        (NONE, 1),
        (NONE, 1),
    ]
