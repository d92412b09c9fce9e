"""Limits that settings make others than their defaults."""

import re
from pathlib import Path

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from bus.broker.records import LIMIT
from bus.errors import InvalidSettings
from bus.settings import MOST_UNPACKED, load
from tests.broker.raw import Raw, batch
from tests.broker.stores import committed, made
from tests.engines.transactor import Transactor, Txn
from tests.waiting import until

KIB, MIB = 2**10, 2**20
ZSTD = 4


async def test_a_request(tmp_path: Path) -> None:
    """One that is larger ends the connection, before it is read."""
    async with made(tmp_path, max_frame_bytes=MIB) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        assert (await raw.produce("t", batch(bytes(MIB - KIB)))).error_code is ErrorCode.none
        raw.writer.write((MIB + 1).to_bytes(4))
        assert await raw.answer() == b""


@pytest.mark.parametrize(
    ("size", "error"),
    [
        pytest.param(1500, ErrorCode.none, id="small enough"),
        pytest.param(2100, ErrorCode.message_too_large, id="too large"),
    ],
)
async def test_a_batch(tmp_path: Path, size: int, error: ErrorCode) -> None:
    async with made(tmp_path, max_batch_bytes=2000) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        assert (await raw.produce("t", batch(b"x" * size))).error_code is error


@pytest.mark.parametrize(
    ("size", "error"),
    [
        pytest.param(2 * MIB - 100, ErrorCode.none, id="small enough"),
        pytest.param(2 * MIB + 1, ErrorCode.message_too_large, id="too large"),
    ],
)
async def test_what_a_batch_unpacks_to(tmp_path: Path, size: int, error: ErrorCode) -> None:
    async with made(tmp_path, max_unpacked_bytes=2 * MIB) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        assert (await raw.produce("t", batch(bytes(size), codec=ZSTD))).error_code is error


@pytest.mark.parametrize(
    ("count", "error"),
    [
        pytest.param(20, ErrorCode.none, id="few enough"),
        pytest.param(21, ErrorCode.message_too_large, id="too many"),
    ],
)
async def test_the_records_of_a_batch(tmp_path: Path, count: int, error: ErrorCode) -> None:
    async with made(tmp_path, max_batch_records=20) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        answer = await raw.produce("t", batch(*[b"x"] * count))
        assert answer.error_code is error
        if error is not ErrorCode.none:
            assert answer.error_message == "21 records are above 20"


async def test_an_answer_to_a_fetch(tmp_path: Path) -> None:
    """It is no larger, whatever the client would take, but for its first batch."""
    async with made(tmp_path, fetch_max_bytes=64 * KIB) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        one = batch(b"x" * 40 * KIB)
        for _ in range(3):
            await raw.produce("t", one)
        for offset in range(3):
            found = await raw.fetch("t", offset, max_bytes=16 * MIB)
            assert len(found.records) <= 64 * KIB
            assert found.records[:8] == offset.to_bytes(8)


async def test_positions_of_a_group_without_members(tmp_path: Path) -> None:
    async with (
        made(tmp_path, positions_retention_seconds=0.2) as broker,
        await Raw.to(broker) as raw,
    ):
        await raw.create("t")
        await raw.ask(ApiKey.OFFSET_COMMIT, 7, **committed("t", 5))

        async def forgotten() -> bool:
            topics = [{"name": "t", "partition_indexes": [0]}]
            answer = await raw.ask(ApiKey.OFFSET_FETCH, 5, group_id="g", topics=topics)
            return bool(answer.topics[0].partitions[0].committed_offset == -1)

        await until(forgotten)


@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        pytest.param(5000, ErrorCode.none, id="the longest"),
        pytest.param(5001, ErrorCode.invalid_transaction_timeout, id="too long"),
    ],
)
async def test_how_long_a_transaction_may_take(
    tmp_path: Path, timeout: int, error: ErrorCode
) -> None:
    async with (
        made(tmp_path, transaction_max_timeout_ms=5000) as broker,
        await Raw.to(broker) as raw,
    ):
        told = await Transactor(raw, "me").ask_to_begin(timeout)
        assert told.error_code is error


async def test_how_long_a_transactional_id_is_kept(tmp_path: Path) -> None:
    """What was not used for so long is forgotten, when the broker looks for it next."""
    for seconds, kept in ((3600, True), (0.001, False)):
        expiry = {"transactional_id_expiration_ms": round(seconds * 1000)}
        async with made(tmp_path, **expiry) as broker, await Raw.to(broker) as raw:
            await Transactor(raw, "me").begin()
        async with made(tmp_path, **expiry) as broker, await Raw.to(broker) as raw:

            async def as_said(raw: Raw = raw, kept: bool = kept) -> bool:
                told = await raw.ask(Txn.LIST, 0, state_filters=[], producer_id_filters=[])
                return [one.transactional_id for one in told.transaction_states] == ["me"] * kept

            await until(as_said)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("broker.max_unpacked_bytes", 64 * MIB + 1, "less than or equal to 67108864"),
        ("broker.transaction_max_timeout_ms", 0, "greater than or equal to 1"),
        ("broker.transactional_id_expiration_ms", 0, "greater than or equal to 1"),
        ("broker.handshake_seconds", 0, "greater than 0"),
        ("registry.max_connections", 0, "greater than or equal to 1"),
        ("registry.max_connections_per_address", 0, "greater than or equal to 1"),
        ("ops.idle_seconds", -1, "greater than 0"),
        ("ops.principal_mapping", "RULE:(", "neither DEFAULT nor RULE:"),
        ("ops.readers", "meter", "is no principal"),
    ],
)
def test_what_a_limit_cannot_be(name: str, value: object, sentence: str) -> None:
    with pytest.raises(InvalidSettings, match=re.escape(sentence)) as refused:
        load({name: value}, environ={})
    assert name in str(refused.value.where)


def test_no_batch_is_taken_that_could_not_be_compacted() -> None:
    assert MOST_UNPACKED == LIMIT


async def test_items_of_a_request(tmp_path: Path) -> None:
    """Far more of them than there are partitions end the connection, before they are read."""
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        asked = {"allow_auto_topic_creation": False}
        few = await raw.ask(ApiKey.METADATA, 4, topics=[{"name": "t"}] * 20_000, **asked)
        assert len(few.topics) == 20_000
        raw.send(ApiKey.METADATA, 4, topics=[{"name": "t"}] * 20_001, **asked)
        assert await raw.answer() == b""
