"""What a broker does with transactions that Apache Kafka cannot be made to show, or does later."""

import asyncio
from pathlib import Path
from typing import Any

from kio.schema.errors import ErrorCode

from bus.broker import ApiKey, Broker
from bus.settings import Address, BrokerSettings
from bus.telemetry import Telemetry
from tests.broker.raw import Raw, batch, fetch_fields
from tests.engines.transactor import (
    COMMITTED,
    Transactor,
    batches,
    read,
    stable,
)

NONE = ErrorCode.none
LONG = 20_000  # milliseconds that a fetch may wait: longer than the test may take
AT_ONCE = 5.0  # seconds


async def begun(raw: Raw, partitions: int = 1, **configs: str) -> Transactor:
    """Make a topic, and return a producer that has its id."""
    await raw.made("t", partitions, **configs)
    return await Transactor(raw, "me").begin()


def committed(offset: int = 0, **more: int) -> dict[str, Any]:
    """Return a fetch of committed records."""
    return fetch_fields("t", offset, **more) | {"isolation_level": COMMITTED}


async def test_a_waiting_reader_is_answered_when_the_transaction_ends(broker: Broker) -> None:
    async with await Raw.to(broker) as raw, await Raw.to(broker) as reader:
        producer = await begun(raw)
        await producer.send("t", b"a")
        reader.send(ApiKey.FETCH, 11, **committed() | {"max_wait": LONG, "min_bytes": 1})
        waiting = asyncio.create_task(reader.answer())
        await producer.write("t", b"b")
        await raw.produce("t", batch(b"behind"))
        assert not waiting.done()
        await producer.end(commit=True)
        async with asyncio.timeout(AT_ONCE):
            answer = Raw.read(ApiKey.FETCH, 11, await waiting)
    told = answer.responses[0].partitions[0]
    assert (told.last_stable_offset, told.high_watermark) == (4, 4)
    assert [one.first for one in batches(told.records)] == [0, 1, 2, 3]


async def test_a_waiting_reader_is_answered_with_what_lies_before_a_transaction(
    broker: Broker,
) -> None:
    async with await Raw.to(broker) as raw, await Raw.to(broker) as reader:
        producer = await begun(raw)
        reader.send(ApiKey.FETCH, 11, **committed() | {"max_wait": LONG, "min_bytes": 1})
        await raw.produce("t", batch(b"before"))
        async with asyncio.timeout(AT_ONCE):
            answer = Raw.read(ApiKey.FETCH, 11, await reader.answer())
        assert len(batches(answer.responses[0].partitions[0].records)) == 1
        await producer.send("t", b"a")
        assert await read(raw, "t", COMMITTED) == [b"before"]


async def test_beyond_the_last_stable_offset_there_is_nothing_yet(broker: Broker) -> None:
    async with await Raw.to(broker) as raw:
        producer = await begun(raw)
        await producer.send("t", b"a", b"b", b"c")
        for offset in (0, 2, 3):
            told = (await raw.ask(ApiKey.FETCH, 11, **committed(offset))).responses[0].partitions[0]
            assert (told.error_code, told.records) == (NONE, b"")


async def test_aborted_transactions_are_told_where_they_are_read(broker: Broker) -> None:
    async with await Raw.to(broker) as raw:
        producer = await begun(raw)
        for number in range(4):  # each takes two offsets
            await producer.send("t", b"%d" % number)
            await producer.end(commit=number == 1)
        told = [await aborted(raw, offset) for offset in range(8)]
        assert told == [[0, 4, 6]] * 2 + [[4, 6]] * 4 + [[6]] * 2
        one_batch = await aborted(raw, 4, partition_max_bytes=1)
        assert one_batch == [4]


async def aborted(raw: Raw, offset: int, **more: int) -> list[int]:
    """Return where the aborted transactions began that a reader is told of."""
    fields = committed(offset)
    fields["topics"][0]["partitions"][0] |= more
    answer = (await raw.ask(ApiKey.FETCH, 11, **fields)).responses[0].partitions[0]
    return [one.first_offset for one in answer.aborted_transactions]


async def test_aborted_transactions_that_overlap_are_told_in_the_order_they_began(
    broker: Broker,
) -> None:
    async with await Raw.to(broker) as raw:
        first = await begun(raw)
        second = await Transactor(raw, "other").begin()
        await first.send("t", b"a")
        await second.send("t", b"b")
        await second.end(commit=False)
        await first.end(commit=False)
        assert await aborted(raw, 0) == [0, 1]
        assert await aborted(raw, 3) == [0]
        assert await read(raw, "t", COMMITTED) == []


async def test_a_dropped_topic_does_not_hold_up_its_transaction(broker: Broker) -> None:
    async with await Raw.to(broker) as raw:
        producer = await begun(raw)
        await raw.made("gone")
        await producer.send("gone", b"a")
        await producer.send("t", b"b")
        await producer.add_offsets("g")
        await producer.commit_offset("g", "gone", 7)
        await drop(raw, "gone")
        await raw.made("gone")
        assert await stable(raw, "gone") == (0, 0)
        assert (await producer.write("gone", b"c")).error_code is ErrorCode.invalid_txn_state
        assert await producer.end(commit=True) is NONE
        assert await read(raw, "t", COMMITTED) == [b"b"]
        assert await stable(raw, "gone") == (0, 0)
        wanted = [{"name": "gone", "partition_indexes": (0,)}]
        fields = {"group_id": "g", "topics": wanted, "require_stable": True}
        answer = await raw.ask(ApiKey.OFFSET_FETCH, 7, **fields)
        assert answer.topics[0].partitions[0].committed_offset == -1


async def drop(raw: Raw, name: str) -> None:
    """Delete a topic."""
    answer = await raw.ask(ApiKey.DELETE_TOPICS, 3, topic_names=(name,), timeout=1000)
    assert answer.responses[0].error_code is NONE


async def test_partitions_that_are_written_again_begin_again(broker: Broker) -> None:
    async with await Raw.to(broker) as raw:
        producer = await begun(raw, 2)
        for _ in range(2):
            await producer.add("t", 0, 1)  # nothing is written to the second
            await producer.write("t", b"a")
            await producer.end(commit=False)
        assert await stable(raw, "t") == (4, 4)
        assert await stable(raw, "t", 1) == (2, 2)
        assert await aborted(raw, 0) == [0, 2]


async def test_a_topic_that_stamps_its_records_takes_transactions(broker: Broker) -> None:
    async with await Raw.to(broker) as raw:
        producer = await begun(raw, message_timestamp_type="LogAppendTime")
        await producer.send("t", b"a")
        await producer.end(commit=True)
        assert await read(raw, "t", COMMITTED) == [b"a"]


async def test_what_was_aborted_before_the_beginning_is_forgotten(tmp_path: Path) -> None:
    settings = BrokerSettings(listen=Address(host="127.0.0.1", port=0))
    async with Broker(settings, tmp_path, Telemetry()) as broker, await Raw.to(broker) as raw:
        producer = await begun(raw)
        for _ in range(2):
            await producer.send("t", b"a")
            await producer.end(commit=False)
        engine = broker._engine
        assert engine is not None
        partition = engine.topics.partition("t", 0)
        assert partition is not None
        number = partition.number
        await engine.change(lambda store: store.transactions.forget_aborted(number, 1))
        assert await aborted(raw, 0) == [0, 2]
        await engine.change(lambda store: store.transactions.forget_aborted(number, 2))
    async with Broker(settings, tmp_path, Telemetry()) as broker, await Raw.to(broker) as raw:
        assert await aborted(raw, 0) == [2]
