"""That one's flood is not another's delay: quotas, and places of requests under way."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from bus.broker import ApiKey, Broker
from bus.broker.engine import Engine
from bus.broker.limits import MOST_READS
from bus.broker.partition import Partition
from bus.settings import BrokerSettings
from bus.telemetry import Telemetry
from tests.broker.raw import Raw, batch, fetch_fields, produce_fields
from tests.broker.stores import LOCAL, made
from tests.engines.login import encrypted, log_in


async def test_a_throttled_client_is_answered_told_and_then_not_listened_to(
    tmp_path: Path,
) -> None:
    async with made(tmp_path, quota_requests=20) as broker, await Raw.to(broker) as raw:
        for _ in range(19):
            assert (await raw.ask(ApiKey.METADATA, 3, topics=None)).throttle_time.seconds == 0
        for _ in range(5):
            raw.send(ApiKey.METADATA, 3, topics=None)
        silences = [
            raw.read(ApiKey.METADATA, 3, await raw.answer()).throttle_time.total_seconds()
            for _ in range(5)
        ]
        # Each request above the quota costs a twentieth of a second, which was waited for before
        # the next was read: the silences do not add up.
        assert max(silences) > 0
        assert max(silences) <= 0.1


async def test_bytes_written_and_read_have_quotas(tmp_path: Path) -> None:
    limits = {"quota_produce_bytes": 100_000, "quota_fetch_bytes": 200_000}
    async with made(tmp_path, **limits) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        answer = await raw.ask(ApiKey.PRODUCE, 9, **produce_fields("t", batch(os.urandom(150_000))))
        assert 0.4 < answer.throttle_time.total_seconds() < 0.6
        async with await Raw.to(broker) as other:  # of the same principal, and not a writer
            answer = await other.ask(ApiKey.FETCH, 11, **fetch_fields("t", 0))
            assert answer.throttle_time.total_seconds() == 0
            answer = await other.ask(ApiKey.FETCH, 11, **fetch_fields("t", 0))
            assert 0.2 < answer.throttle_time.total_seconds() < 0.6
        throttled = "stadtbus_throttled_requests_total"
        for kind in ("produce", "fetch"):
            assert broker._telemetry.registry.get_sample_value(throttled, {"quota": kind}) == 1


async def test_a_flood_of_one_user_takes_no_more_places_than_one_user_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many connections it has: who comes after waits for so many requests and no more."""
    async with made(tmp_path, max_requests_in_flight=50) as broker:
        engine = broker._engine
        assert engine is not None
        shared = engine.limits.lane("User:flood")
        async with await Raw.to(broker) as polite:
            await polite.create("t")
            flood = [await Raw.to(broker) for _ in range(10)]
            for raw in flood:
                await raw.ask(ApiKey.METADATA, 1, topics=None)
            for connection in list(broker._connections.values())[1:]:
                connection._lane = shared  # as if all had logged in as one
            queued = 0
            submit = engine._writer.submit
            waiting: list[Callable[[], None]] = []

            def hold(job: object) -> None:
                nonlocal queued
                queued += 1
                waiting.append(lambda: submit(job))  # type: ignore[arg-type]

            monkeypatch.setattr(type(engine._writer), "submit", lambda _, job: hold(job))
            for raw in flood:
                for _ in range(40):
                    raw.send(ApiKey.PRODUCE, 9, **produce_fields("t", batch(b"flood")))
            async with asyncio.timeout(5):
                while queued < 50:
                    await polite.ask(ApiKey.METADATA, 1, topics=None)
            for _ in range(20):
                await polite.ask(ApiKey.METADATA, 1, topics=None)
            assert queued == 50
            polite.send(ApiKey.PRODUCE, 9, **produce_fields("t", batch(b"polite")))
            async with asyncio.timeout(5):
                while queued < 51:
                    await flood[0].writer.drain()
                    await asyncio.sleep(0)
            monkeypatch.undo()
            for go in waiting:
                go()
            answer = polite.read(ApiKey.PRODUCE, 9, await polite.answer())
            assert answer.responses[0].partition_responses[0].base_offset == 50
            for raw in flood:
                for _ in range(40):
                    assert await raw.answer()
                await raw.__aexit__()
        assert engine.limits.requests.held == 0


async def test_who_reads_old_records_with_many_connections_takes_few_places_at_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with made(tmp_path, tail_cache_bytes=0) as broker, await Raw.to(broker) as polite:
        await polite.create("t")
        await polite.produce("t", batch(b"old"))
        engine = broker._engine
        assert engine is not None
        flood = [await Raw.to(broker) for _ in range(8)]
        for raw in flood:
            await raw.ask(ApiKey.METADATA, 1, topics=None)
        shared = engine.limits.lane("User:flood")
        for connection in list(broker._connections.values())[1:]:
            connection._lane = shared  # as if all had logged in as one
        reading, gate, query = 0, asyncio.Event(), type(engine).query

        async def slow(self: Engine, partition: Partition, run: Any) -> Any:
            nonlocal reading
            reading += 1
            await gate.wait()
            return await query(self, partition, run)

        monkeypatch.setattr(type(engine), "query", slow)
        for raw in flood:
            raw.send(ApiKey.FETCH, 11, **fetch_fields("t", 0))
        while reading < MOST_READS:
            await polite.ask(ApiKey.METADATA, 1, topics=None)
        for _ in range(10):
            await polite.ask(ApiKey.METADATA, 1, topics=None)
        assert reading == MOST_READS
        polite.send(ApiKey.FETCH, 11, **fetch_fields("t", 0))
        while reading < MOST_READS + 1:
            await flood[0].writer.drain()
            await asyncio.sleep(0)
        gate.set()
        for raw in (polite, *flood):
            answer = raw.read(ApiKey.FETCH, 11, await raw.answer())
            assert b"old" in answer.responses[0].partitions[0].records
        for raw in flood:
            await raw.__aexit__()


async def test_quotas_and_places_are_a_users_and_not_a_connections(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem
    issued.write_to_path(tmp_path / "broker.pem")
    settings = BrokerSettings(
        listen=LOCAL, certificate_file=tmp_path / "broker.pem", quota_requests=10
    )
    users = {"flood": "flood's", "polite": "polite's"}

    async def silence(raw: Raw) -> float:
        answer = await raw.ask(ApiKey.METADATA, 3, topics=[])
        return float(answer.throttle_time.total_seconds())

    async with Broker(settings, tmp_path / "broker", Telemetry(), users=users) as broker:
        clients = []
        for user in ("flood", "flood", "polite"):
            raw = await encrypted(broker.address, tmp_path / "ca.pem")
            assert (await log_in(raw, user, users[user])).error_code == 0
            clients.append(raw)
        one, another, polite = clients
        for _ in range(30):
            one.send(ApiKey.METADATA, 3, topics=[])
        first = await one.answer()
        assert first
        while not Raw.read(ApiKey.METADATA, 3, await one.answer()).throttle_time:
            pass
        assert await silence(another) > 0
        assert await silence(polite) == 0
        for raw in (another, polite):
            await raw.ask(ApiKey.PRODUCE, 9, **produce_fields("t", batch(b"x")))
        await one.__aexit__()
        lanes = {c._lane_of: c._lane for c in broker._connections.values() if c._lane_of}
        assert lanes.keys() == {"User:flood", "User:polite"}
        assert len(set(lanes.values())) == 2
        assert broker._engine is not None
        assert broker._engine.limits.lane("User:flood") is lanes["User:flood"]
        for raw in (another, polite):
            await raw.__aexit__()
