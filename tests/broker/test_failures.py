"""A statement or a sync that fails: who is told what, when the broker goes on and when it stops."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from bus.broker.housekeeping import Housekeeping
from bus.broker.storage.log import Log
from bus.broker.storage.pages import Pages
from bus.broker.storage.producers import Producers
from bus.broker.storage.store import Store
from tests.broker.raw import Raw, batch, produce_fields
from tests.broker.stores import made

IOERR = sqlite3.SQLITE_IOERR_FSYNC
DOUBTFUL = {"failed sync": IOERR, "damage": sqlite3.SQLITE_CORRUPT}
PASSING = {"full": sqlite3.SQLITE_FULL, "busy": sqlite3.SQLITE_BUSY}


class Failing:
    """Makes a method fail once, at its next call.

    Attributes:
        happened: whether it did.
    """

    def __init__(self, patch: pytest.MonkeyPatch, kind: type, name: str, code: int) -> None:
        self.happened = False
        real: Callable[..., Any] = getattr(kind, name)

        def call(*args: Any) -> Any:
            if not self.happened:
                self.happened = True
                error = sqlite3.OperationalError("arranged")
                error.sqlite_errorcode = code
                raise error
            return real(*args)

        patch.setattr(kind, name, call)


def named(value: object) -> str:
    """Return a parameter's name."""
    return getattr(value, "__name__", str(value))


IN_A_ROUND = [(Store, "begin"), (Log, "write"), (Producers, "write"), (Store, "commit")]


@pytest.mark.parametrize("code", DOUBTFUL.values(), ids=DOUBTFUL)
@pytest.mark.parametrize(("kind", "name"), IN_A_ROUND, ids=named)
async def test_after_a_failed_write_the_broker_stops_and_a_restart_is_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type, name: str, code: int
) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        assert (await raw.produce("t", batch(b"kept", producer=(5, 0, 0)))).base_offset == 0
        with monkeypatch.context() as patch:
            Failing(patch, kind, name, code)
            raw.send(ApiKey.PRODUCE, 9, **produce_fields("t", batch(b"?", producer=(5, 0, 1))))
            await asyncio.wait_for(broker.failed.wait(), 5)
            if answer := await raw.answer():
                refused = raw.read(ApiKey.PRODUCE, 9, answer).responses[0].partition_responses[0]
                assert refused.error_code is ErrorCode.kafka_storage_error
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        again = await raw.produce("t", batch(b"?", producer=(5, 0, 1)))
        assert (again.error_code, again.base_offset) == (ErrorCode.none, 1)
        whole = await raw.fetch("t", 0)
        assert (whole.high_watermark, b"kept" in whole.records) == (2, True)


@pytest.mark.parametrize("code", PASSING.values(), ids=PASSING)
@pytest.mark.parametrize(("kind", "name"), IN_A_ROUND, ids=named)
async def test_where_nothing_is_in_doubt_the_broker_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type, name: str, code: int
) -> None:
    monkeypatch.setattr(Housekeeping, "step", lambda *_, **__: None)  # it commits, too
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        with monkeypatch.context() as patch:
            Failing(patch, kind, name, code)
            refused = await raw.produce("t", batch(b"x", producer=(5, 0, 0)))
        assert refused.error_code is ErrorCode.kafka_storage_error
        again = await raw.produce("t", batch(b"x", producer=(5, 0, 0)))
        assert (again.error_code, again.base_offset) == (ErrorCode.none, 0)
        assert not broker.failed.is_set()


BETWEEN_ROUNDS = [(Log, "purge"), (Store, "begin"), (Store, "commit"), (Pages, "free")]


@pytest.mark.parametrize(("kind", "name"), BETWEEN_ROUNDS, ids=named)
async def test_what_fails_between_rounds_stops_the_broker_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type, name: str
) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        await raw.create("gone")
        await raw.produce("t", batch(b"kept"))
        await raw.produce("gone", batch(b"x"))
        real = Housekeeping.step

        def step(keeping: Housekeeping, *, idle: bool) -> None:
            if keeping._purging or keeping._shrinking:
                Failing(monkeypatch, kind, name, IOERR)
                monkeypatch.setattr(Housekeeping, "step", real)
            real(keeping, idle=idle)

        monkeypatch.setattr(Housekeeping, "step", step)
        raw.send(ApiKey.DELETE_TOPICS, 3, topic_names=["gone"], timeout=1000)
        await asyncio.wait_for(broker.failed.wait(), 5)
    monkeypatch.undo()
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        assert (await raw.fetch("t", 0)).high_watermark == 1
        assert (await raw.produce("t", batch(b"on"))).base_offset == 1


async def test_an_expiry_that_fails_stops_the_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        failing = Failing(monkeypatch, Producers, "expire", IOERR)
        monkeypatch.setattr("bus.broker.writer.EXPIRE_EVERY", 0.0)
        raw.send(ApiKey.PRODUCE, 9, **produce_fields("t", batch(b"x")))
        await asyncio.wait_for(broker.failed.wait(), 5)
        assert failing.happened


async def test_damage_stops_its_partition_alone_and_shows_in_the_metric(tmp_path: Path) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await raw.create("t", 2)
        for index in range(2):
            await raw.produce("t", batch(b"first"), partition=index)
            await raw.produce("t", batch(b"second"), partition=index)
    with sqlite3.connect(tmp_path / "broker.db") as database:
        position = database.execute("select min(position) from log").fetchone()[0]
        database.execute("update log set batches = zeroblob(80) where position = ?", (position,))
    async with made(tmp_path, tail_cache_bytes=0) as broker, await Raw.to(broker) as raw:
        assert (await raw.fetch("t", 0)).error_code is not ErrorCode.none
        assert not (await raw.fetch("t", 0)).records
        refused = await raw.produce("t", batch(b"third"))
        assert refused.error_code is ErrorCode.kafka_storage_error
        other = await raw.fetch("t", 0, partition=1)
        assert (other.error_code, other.high_watermark) == (ErrorCode.none, 2)
        assert (await raw.produce("t", batch(b"third"), partition=1)).base_offset == 2
        assert broker._engine is not None
        broker._engine.measure()
        shown = broker._telemetry.registry.get_sample_value("stadtbus_damaged_partitions")
        assert shown == 1
