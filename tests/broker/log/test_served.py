"""What clients see while records go: whoever waits is told, whoever is late is told so."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey, Broker
from bus.broker.api.offsets import MAX_TIMESTAMP
from bus.broker.compaction import shell
from bus.broker.compaction.messages import Answer, Step
from bus.broker.compaction.worker import Worker, WorkerEnded
from bus.broker.storage.log import Log
from bus.settings import Address, BrokerSettings
from bus.telemetry import Telemetry
from tests.broker.raw import Raw, batch, fetch_fields
from tests.engines.log import Logged, delete_before, packed, stored
from tests.waiting import until

DESCRIBE_CONFIGS, TOPIC = 32, 2


def made(data: Path, **more: object) -> Broker:
    """Return a broker that is not started."""
    settings = {"listen": Address(host="127.0.0.1", port=0), "retention_ms": -1, **more}
    return Broker(BrokerSettings.model_validate(settings), data, Telemetry())


@pytest.fixture
async def raw(broker: Broker) -> AsyncIterator[Raw]:
    """A connection to a fresh broker."""
    async with await Raw.to(broker) as connection:
        yield connection


async def size(raw: Raw, topic: str) -> int:
    """Return the bytes of a topic's first partition."""
    answer = await raw.ask(ApiKey.DESCRIBE_LOG_DIRS, 4, topics=None)
    sizes = {one.name: one.partitions[0].partition_size for one in answer.results[0].topics}
    found: int = sizes[topic]
    return found


async def test_a_fetch_that_waits_below_the_beginning_is_answered(broker: Broker, raw: Raw) -> None:
    await raw.create("t")
    await raw.produce("t", batch(b"a", b"b"))
    await raw.produce("t", batch(b"c"))
    async with await Raw.to(broker) as waiting:
        waiting.send(ApiKey.FETCH, 11, **fetch_fields("t", 1, max_wait=60_000, min_bytes=2**20))
        await delete_before(raw, "t", 2)
        answer = waiting.read(ApiKey.FETCH, 11, await waiting.answer())
    (part,) = answer.responses[0].partitions
    assert part.error_code is ErrorCode.offset_out_of_range


async def test_sizes_are_of_what_is_left_also_after_a_restart(tmp_path: Path) -> None:
    one = batch(b"x" * 5000)
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        for _ in range(5):
            await raw.produce("t", one)
        assert await size(raw, "t") == 5 * len(one)
        await delete_before(raw, "t", 3)

        async def gone() -> bool:
            return await size(raw, "t") == 2 * len(one)

        await until(gone)
        await raw.produce("t", one)
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        assert await size(raw, "t") == 3 * len(one)
        assert [each.offset for each in await stored(raw, "t", start=3)] == [3, 4, 5]


async def test_topics_without_a_retention_have_the_nodes(tmp_path: Path) -> None:
    async with made(tmp_path, retention_ms=1000) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        await raw.produce("t", batch(b"old"))

        async def gone() -> bool:
            return bool((await raw.fetch("t", 1)).log_start_offset == 1)

        await until(gone)
        answer = await raw.ask(
            DESCRIBE_CONFIGS,
            4,
            resources=[
                {
                    "resource_type": TOPIC,
                    "resource_name": "t",
                    "configuration_keys": ["retention.ms", "segment.index.bytes"],
                }
            ],
            include_synonyms=False,
            include_documentation=True,
        )
    retention, segments = sorted(answer.results[0].configs, key=lambda one: one.name)
    assert (retention.value, retention.config_source) == ("1000", 4)
    assert "without effect" in segments.documentation


async def test_a_batch_that_is_too_large_in_the_topics_codec_is_refused(raw: Raw) -> None:
    await raw.create("t", 1, compression_type="uncompressed", max_message_bytes="2000")
    small = packed(Logged(value=b"x" * 5000), codec=1)
    assert len(small) < 200
    refused = await raw.produce("t", small)
    assert refused.error_code is ErrorCode.message_too_large
    assert "in the topic's compression" in refused.error_message


async def test_a_compacted_topic_is_read_from_disk_as_from_memory(tmp_path: Path) -> None:
    configs = {"cleanup_policy": "compact", "segment_ms": "1", "min_cleanable_dirty_ratio": "0"}
    async with made(tmp_path, tail_cache_bytes=0) as broker, await Raw.to(broker) as raw:
        await raw.create("t", 1, **configs)
        for n in range(20):
            record = Logged(b"%d" % (n % 3), b"value", timestamp=1000 * n)
            await raw.produce("t", packed(record))

        async def compacted() -> bool:
            return [one.offset for one in await stored(raw, "t")] == [16, 17, 18, 19]

        await until(compacted)
        for offset in range(17):
            answer = await raw.fetch("t", offset, max_bytes=1)
            assert answer.error_code is ErrorCode.none
            assert int.from_bytes(answer.records[:8], "big") == 16


@pytest.mark.parametrize(
    "trouble", [WorkerEnded("it was killed"), RuntimeError("something unforeseen")]
)
async def test_where_compaction_fails_it_is_tried_again(
    raw: Raw, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: Exception
) -> None:
    monkeypatch.setattr(shell, "_AGAIN_MS", 50)
    answer, troubles = Worker.answer, [trouble]

    async def answers(worker: Worker) -> Answer:
        if troubles:
            raise troubles.pop()
        return await answer(worker)

    monkeypatch.setattr(Worker, "answer", answers)
    configs = {"cleanup_policy": "compact", "segment_ms": "1", "min_cleanable_dirty_ratio": "0"}
    await raw.create("t", 1, **configs)
    for n in range(5):
        await raw.produce("t", packed(Logged(b"key", b"value", timestamp=1000 * n)))

    async def compacted() -> bool:
        await raw.produce("t", packed(Logged(b"last", b"value", timestamp=10_000)))
        first, *_ = await stored(raw, "t")
        return first.offset == 4

    await until(compacted)
    assert str(trouble) in caplog.text


async def test_a_full_disk_in_one_partition_leaves_the_compaction_of_others_whole(
    raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "_AGAIN_MS", 50)
    monkeypatch.setattr("bus.broker.housekeeping.TRY_AGAIN", 0.05)
    replace, full = Log.replace, sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    troubles = [full]

    def replaced(table: Log, partition: int, step: Step) -> int | None:
        if troubles:
            raise troubles.pop()
        return replace(table, partition, step)

    monkeypatch.setattr(Log, "replace", replaced)
    for topic in ("a", "b"):
        await raw.create(topic)
        for n in range(12):
            key = b"first" if n < 3 else b"then"
            await raw.produce(topic, packed(Logged(key, b"value", timestamp=1000 * n)))
    changes = {"cleanup.policy": "compact", "segment.ms": "1", "min.cleanable.dirty.ratio": "0"}
    configs = [{"name": n, "config_operation": 0, "value": v} for n, v in changes.items()]
    both = [{"resource_type": TOPIC, "resource_name": one, "configs": configs} for one in "ab"]
    await raw.ask(ApiKey.INCREMENTAL_ALTER_CONFIGS, 1, resources=both, validate_only=False)

    async def compacted() -> bool:
        left = [[one.offset for one in await stored(raw, topic)] for topic in "ab"]
        return left == [[2, 10, 11], [2, 10, 11]]

    await until(compacted)
    assert not troubles


@pytest.mark.parametrize("overwrite", [True, False])
async def test_a_time_that_only_deleted_records_have_is_looked_for_in_vain(
    tmp_path: Path, overwrite: bool
) -> None:
    async with (
        made(tmp_path, overwrite_deleted=overwrite) as broker,
        await Raw.to(broker) as raw,
        asyncio.timeout(20),
    ):
        await raw.create("t")
        await raw.produce("t", packed(Logged(timestamp=9000), Logged(timestamp=1000)))
        await delete_before(raw, "t", 1)
        for time, offset in ((9000, -1), (1001, -1), (1000, 1), (MAX_TIMESTAMP, 1)):
            part = {"partition_index": 0, "current_leader_epoch": -1, "timestamp": time}
            answer = await raw.ask(
                ApiKey.LIST_OFFSETS,
                7,
                replica_id=-1,
                isolation_level=0,
                topics=[{"name": "t", "partitions": [part]}],
            )
            assert answer.topics[0].partitions[0].offset == offset
