"""What was deleted is in no file any more: a planted marker is looked for in their bytes."""

import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bus.broker import ApiKey, Broker
from bus.broker.batch import HEADER
from bus.broker.check import check
from bus.settings import Address, BrokerSettings
from bus.telemetry import Telemetry
from tests.broker.raw import Raw, batch
from tests.engines.log import Logged, delete_before, packed, stored
from tests.waiting import until

MARKER = b"a name that must be forgotten"
HOUR = 3_600_000
OLD = 10 * HOUR


def files(folder: Path) -> bytes:
    """Return all that lies in the broker's files.

    By a process of its own: whoever closes the database gives up the locks that SQLite has in his.
    """
    found = [str(file) for file in folder.glob("broker.db*")]
    return subprocess.run(
        ["cat", *found], capture_output=True, check=True
    ).stdout  # files of this test


async def retention(raw: Raw) -> None:
    """Have the marker deleted by its age."""
    resource = {"resource_type": 2, "resource_name": "t"}
    change = {"name": "retention.ms", "config_operation": 0, "value": str(HOUR)}
    await raw.ask(
        ApiKey.INCREMENTAL_ALTER_CONFIGS,
        1,
        resources=[resource | {"configs": [change]}],
        validate_only=False,
    )


async def command(raw: Raw) -> None:
    """Have the marker deleted by DeleteRecords."""
    await delete_before(raw, "t", -1)


async def compaction(raw: Raw) -> None:
    """Have the marker compacted away."""
    resource = {"resource_type": 2, "resource_name": "t"}
    changes = {"cleanup.policy": "compact", "segment.ms": "1", "min.cleanable.dirty.ratio": "0"}
    configs = [{"name": n, "config_operation": 0, "value": v} for n, v in changes.items()]
    for hours in (1, 2):
        await raw.produce("t", packed(Logged(b"key", b"nothing", timestamp=OLD + hours * HOUR)))
    await raw.ask(
        ApiKey.INCREMENTAL_ALTER_CONFIGS,
        1,
        resources=[resource | {"configs": configs}],
        validate_only=False,
    )


async def deletion(raw: Raw) -> None:
    """Have the topic deleted."""
    await raw.ask(ApiKey.DELETE_TOPICS, 3, topic_names=["t"], timeout=1000)


@pytest.mark.parametrize("erase", [retention, command, compaction, deletion])
@pytest.mark.parametrize("size", [10, 100_000], ids=["small", "large"])
async def test_what_is_deleted_is_in_no_file_any_more(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    erase: Callable[[Raw], Awaitable[None]],
    size: int,
) -> None:
    monkeypatch.setattr("bus.broker.housekeeping.FOLD_AFTER", 0.2)
    settings = BrokerSettings(listen=Address(host="127.0.0.1", port=0), retention_ms=-1)
    async with Broker(settings, tmp_path, Telemetry()) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        await raw.create("other")
        for _ in range(3):
            value = MARKER * (size // len(MARKER) + 1)
            await raw.produce("t", packed(Logged(b"key", value, timestamp=OLD)))
            await raw.produce("other", batch(b"something else"))
        assert MARKER in files(tmp_path)
        await erase(raw)

        async def forgotten() -> bool:
            await raw.produce("other", batch(b"something else"))
            return MARKER not in files(tmp_path)

        await until(forgotten)
        engine = broker._engine
        assert engine is not None
        cached = [row for topic in engine.topics for part in topic.partitions for row in part._rows]
        assert not any(MARKER in row for row in cached)
        assert all(len(row) >= HEADER.size for row in cached if row)


@pytest.mark.parametrize("codec", [0, 4], ids=["none", "zstd"])
async def test_what_is_deleted_of_a_batch_is_in_no_file_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: int
) -> None:
    monkeypatch.setattr("bus.broker.housekeeping.FOLD_AFTER", 0.2)
    settings = BrokerSettings(listen=Address(host="127.0.0.1", port=0), retention_ms=-1)
    rest = [Logged(b"key", b"%d" % n, timestamp=OLD, offset=n) for n in (1, 2)]
    # The marker as it lies in the files: with a codec it is the batch that is looked for.
    whole = packed(Logged(b"key", MARKER, timestamp=OLD), *rest, codec=codec)
    marker = MARKER if codec == 0 else whole[HEADER.size : HEADER.size + 40]
    async with Broker(settings, tmp_path, Telemetry()) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        await raw.produce("t", whole)
        assert marker in files(tmp_path)
        await delete_before(raw, "t", 1)

        async def forgotten() -> bool:
            return marker not in files(tmp_path)

        await until(forgotten)
        assert await stored(raw, "t", start=1) == rest
        engine = broker._engine
        assert engine is not None
        partition = engine.topics.partition("t", 0)
        assert partition is not None
        assert not any(marker in row for row in partition._rows)
        size = partition.size
    assert check(tmp_path / "broker.db", max_unpacked=2**24).damages == 0
    async with Broker(settings, tmp_path, Telemetry()) as broker, await Raw.to(broker) as raw:
        assert await stored(raw, "t", start=1) == rest
        engine = broker._engine
        assert engine is not None
        partition = engine.topics.partition("t", 0)
        assert partition is not None
        assert (partition.start, partition.end, partition.size) == (1, 3, size)


async def test_what_is_deleted_stays_where_it_is_if_nobody_wants_it_overwritten(
    tmp_path: Path,
) -> None:
    settings = BrokerSettings(
        listen=Address(host="127.0.0.1", port=0), retention_ms=-1, overwrite_deleted=False
    )
    async with Broker(settings, tmp_path, Telemetry()) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        await raw.produce("t", packed(Logged(b"key", MARKER * 5000, timestamp=OLD)))
        await command(raw)
        engine = broker._engine
        assert engine is not None
        partition = engine.topics.partition("t", 0)
        assert partition is not None

        async def gone() -> bool:
            return partition.size == 0

        await until(gone)
    assert MARKER in files(tmp_path)
