"""Planted markers: what was erased, in whichever way, is in no file and in no backup."""

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey, Broker
from bus.broker.batch import HEADER
from bus.broker.check import check
from bus.settings import Address, BrokerSettings
from bus.telemetry import Telemetry
from tests.broker.raw import CODECS, Raw, produce_fields
from tests.broker.stores import UNPACKED
from tests.engines.log import ATTRIBUTES_AT, Logged, delete_before, edited, packed
from tests.engines.transactor import NONE, Transactor
from tests.waiting import until

HOUR = 3_600_000
OLD = 10 * HOUR
TRANSACTIONAL = 0x10
KEYS = 10
NEEDLE, EVERY = 24, 6000
"""Bytes that are looked for, and from how many one of them is taken."""

SHAPES = {"many small ones": (150, 60), "few large ones": (5, 40_000)}
"""How many batches, and the bytes of a record."""


async def configure(raw: Raw, topic: str, configs: Mapping[str, str]) -> None:
    """Change a topic's configs."""
    changes = [{"name": n, "config_operation": 0, "value": v} for n, v in configs.items()]
    answer = await raw.ask(
        ApiKey.INCREMENTAL_ALTER_CONFIGS,
        1,
        resources=[{"resource_type": 2, "resource_name": topic, "configs": changes}],
        validate_only=False,
    )
    assert answer.responses[0].error_code is NONE


async def by_command(raw: Raw, topic: str) -> None:
    """Erase by DeleteRecords: the first half, then the rest but for a part of a batch."""
    end = (await raw.fetch(topic, 0)).high_watermark
    await delete_before(raw, topic, end // 2 - 1)
    await delete_before(raw, topic, -1)


async def by_retention(raw: Raw, topic: str) -> None:
    """Erase by age."""
    await configure(raw, topic, {"retention.ms": str(HOUR)})


async def by_compaction(raw: Raw, topic: str) -> None:
    """Erase by newer values of all keys; the last record of all stays."""
    for number in range(KEYS + 1):
        record = Logged(b"%d" % (number % KEYS), b"newer", timestamp=OLD + (number + 1) * HOUR)
        assert (await raw.produce(topic, packed(record))).error_code is NONE
    configs = {"cleanup.policy": "compact", "segment.ms": "1", "min.cleanable.dirty.ratio": "0"}
    await configure(raw, topic, configs)


async def by_deletion(raw: Raw, topic: str) -> None:
    """Erase with the topic."""
    await raw.ask(ApiKey.DELETE_TOPICS, 3, topic_names=[topic], timeout=1000)


async def not_at_all(raw: Raw, topic: str) -> None:
    """Leave it."""


ERASED: Mapping[str, Callable[[Raw, str], Awaitable[None]]] = {
    "by-command": by_command,
    "by-retention": by_retention,
    "by-compaction": by_compaction,
    "by-deletion": by_deletion,
    "aborted-then-by-retention": by_retention,
}
KEPT = ("kept-before", "kept-after")


def written(choose: random.Random, count: int, size: int) -> list[bytes]:
    """Return batches of two records in all codecs, which nobody could guess."""
    made = []
    for number in range(count):
        codec = list(CODECS.values())[number % len(CODECS)]
        records = [
            Logged(b"%d" % choose.randrange(KEYS), choose.randbytes(size), timestamp=OLD + number)
            for _ in range(2)
        ]
        made.append(packed(*records, codec=codec))
    return made


def needles(batch: bytes) -> list[bytes]:
    """Return what is looked for of a batch: pieces of it, compressed as it is."""
    last = len(batch) - NEEDLE
    first = min(HEADER.size + NEEDLE, last)
    return [batch[at : at + NEEDLE] for at in range(first, last + 1, EVERY)]


async def put(raw: Raw, topic: str, batches: Sequence[bytes]) -> None:
    """Write batches, a row each."""
    for one in batches:
        assert (await raw.produce(topic, one)).error_code is NONE


async def put_in_vain(broker: Broker, raw: Raw, topic: str, batches: Sequence[bytes]) -> None:
    """Write batches in a transaction, and abort it."""
    async with Transactor.at(broker.address) as transactor:
        await transactor.begin()
        assert await transactor.add(topic) is ErrorCode.none
        for number, one in enumerate(batches):
            attributes = int.from_bytes(one[ATTRIBUTES_AT : ATTRIBUTES_AT + 2], "big")
            mine = edited(one, ATTRIBUTES_AT, (attributes | TRANSACTIONAL).to_bytes(2, "big"))
            producer = transactor.id.to_bytes(8, "big") + transactor.epoch.to_bytes(2, "big")
            mine = edited(mine, 43, producer + (2 * number).to_bytes(4, "big"))
            fields = produce_fields(topic, mine) | {"transactional_id": transactor.name}
            answer = await raw.ask(ApiKey.PRODUCE, 9, **fields)
            assert answer.responses[0].partition_responses[0].error_code is NONE
        assert await transactor.end(commit=False) is ErrorCode.none


async def ran(*command: str) -> bytes:
    """Run a command and return what it printed.

    Whoever closes the database in the broker's own process gives up SQLite's locks in it.
    """
    running = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    printed, _ = await running.communicate()
    assert running.returncode == 0
    return printed


async def found(folder: Path, planted: Mapping[str, Sequence[bytes]]) -> set[str]:
    """Return the topics of which something lies in the files of a folder."""
    data = await ran("sh", "-c", f"cat {folder}/*")
    return {topic for topic, pieces in planted.items() if any(one in data for one in pieces)}


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
async def test_what_was_erased_is_in_no_file_and_no_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: str
) -> None:
    monkeypatch.setattr("bus.broker.housekeeping.FOLD_AFTER", 0.2)
    choose = random.Random(20261121)
    topics = {topic: written(choose, *SHAPES[shape]) for topic in (KEPT[0], *ERASED, KEPT[1])}
    planted = {topic: [p for b in batches for p in needles(b)] for topic, batches in topics.items()}
    (store := tmp_path / "broker").mkdir()
    settings = BrokerSettings(listen=Address(host="127.0.0.1", port=0), retention_ms=-1)
    async with Broker(settings, store, Telemetry()) as broker, await Raw.to(broker) as raw:
        for topic, batches in topics.items():
            await raw.made(topic)
            if topic.startswith("aborted"):
                await put_in_vain(broker, raw, topic, batches)
            else:
                await put(raw, topic, batches)
        assert await found(store, planted) == topics.keys()
        for topic, erase in ERASED.items():
            await erase(raw, topic)

        async def erased() -> bool:
            return await found(store, planted) == set(KEPT)

        await until(erased)
        (copies := tmp_path / "copies").mkdir()
        copy = str(copies / "copy")
        data = ["--data", str(tmp_path)]
        await ran(sys.executable, "-m", "bus.cli", "broker", "backup", copy, *data)
        assert await found(copies, planted) == set(KEPT)
    assert await found(store, planted) == set(KEPT)
    assert check(store / "broker.db", max_unpacked=UNPACKED).damages == 0
