"""Limits of a real broker: what clients may hold, and that one's flood is not another's delay."""

import asyncio
import os
import resource
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import cramjam
import pytest
import trustme
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey, Broker
from bus.broker.descriptors import room_for
from bus.broker.engine import Engine
from bus.broker.housekeeping import Housekeeping
from bus.broker.limits import MOST_READS
from bus.broker.partition import Partition
from bus.broker.turns import Turns
from bus.settings import BrokerSettings
from bus.telemetry import Telemetry
from tests.broker.raw import CODECS, Raw, batch, fetch_fields, produce_fields, request, wrapped
from tests.broker.stores import LOCAL, made
from tests.engines.login import encrypted, log_in

MIB = 2**20


def bomb(codec: str, size: int) -> bytes:
    """Return so many zeros, packed."""
    if codec == "snappy-java":
        chunk = bytes(cramjam.snappy.compress_raw(bytes(MIB)))
        chunks = (struct.pack(">i", len(chunk)) + chunk) * (size // MIB)
        return b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1) + chunks
    if codec == "snappy":
        return bytes(cramjam.snappy.compress_raw(bytes(size)))
    packer = {
        "gzip": cramjam.gzip.Compressor,
        "lz4": cramjam.lz4.Compressor,
        "zstd": cramjam.zstd.Compressor,
    }[codec]()
    for _ in range(size // MIB):
        packer.compress(bytes(MIB))
    return bytes(packer.finish())


def memory(name: str) -> int:
    """Return a figure of this process' memory, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)


def count_peak_anew() -> None:
    """Have the system forget the most memory that this process ever had."""
    Path("/proc/self/clear_refs").write_text("5")


@pytest.mark.parametrize(
    ("codec", "unpacked"),
    [
        ("zstd", 1024 * MIB),
        ("gzip", 512 * MIB),
        ("lz4", 128 * MIB),
        ("snappy", 20 * MIB),
        ("snappy-java", 17 * MIB),
    ],
)
async def test_a_bomb_is_refused_after_unpacking_no_more_than_the_limit(
    tmp_path: Path, codec: str, unpacked: int
) -> None:
    packed = bomb(codec, unpacked)
    assert len(packed) < MIB
    async with made(tmp_path, max_unpacked_bytes=16 * MIB) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        hostile = wrapped(packed, 1000, CODECS[codec.partition("-")[0]])
        del packed
        count_peak_anew()
        before = memory("VmRSS")
        answer = await raw.produce("t", hostile)
        assert answer.error_code is ErrorCode.message_too_large
        assert memory("VmHWM") - before < 16 * MIB + 8 * MIB
        assert (await raw.produce("t", batch(b"x"))).base_offset == 0


@pytest.mark.parametrize(
    ("limits", "taken", "limit"),
    [
        pytest.param({"max_connections": 3}, 3, "all", id="in all"),
        pytest.param({"max_connections_per_address": 2}, 2, "address", id="of one address"),
    ],
)
async def test_so_many_connections_are_taken_and_no_more(
    tmp_path: Path, limits: dict[str, int], taken: int, limit: str
) -> None:
    async with made(tmp_path, **limits) as broker:
        open_ = [await Raw.to(broker) for _ in range(taken)]
        for raw in open_:
            await raw.ask(ApiKey.METADATA, 1, topics=None)
        async with await Raw.to(broker) as refused:
            assert await refused.answer() == b""
        value = broker._telemetry.registry.get_sample_value(
            "stadtbus_connections_refused_total", {"listener": "broker", "limit": limit}
        )
        assert value == 1
        await open_.pop().__aexit__()
        async with asyncio.timeout(5):
            while True:
                async with await Raw.to(broker) as again:
                    again.send(ApiKey.METADATA, 1, topics=None)
                    if await again.answer():
                        break
        for raw in open_:
            await raw.__aexit__()


NO_LIMIT = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "set_to", "room"),
    [
        pytest.param(5000, 5000, None, 2000, id="enough"),
        pytest.param(NO_LIMIT, NO_LIMIT, None, 2000, id="no limit"),
        pytest.param(1024, 4096, 3152, 2000, id="enough once it is raised"),
        pytest.param(1024, NO_LIMIT, 3152, 2000, id="raised without a limit"),
        pytest.param(1024, 1600, 1600, 1072, id="too few, but more"),
        pytest.param(1024, 1024, None, 640, id="too few"),
    ],
)
def test_connections_leave_the_database_its_files(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, set_to: int | None, room: int
) -> None:
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    assert room_for(2000) == room
    assert asked == ([] if set_to is None else [(set_to, hard)])


def test_handshakes_leave_the_database_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not agreed on TLS yet is not among the connections, but has a descriptor, too."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1600, 1600))
    assert room_for(2000, handshakes=50) == 714  # and 357 handshakes, 400 elsewhere, 128 spare


class Stalled:
    """Clients that ask and never read, with as little of a buffer as the system allows."""

    def __init__(self, broker: Broker, count: int) -> None:
        self._sockets = []
        for _ in range(count):
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect((broker.address.host, broker.address.port))
            self._sockets.append(one)

    def send(self, data: bytes) -> None:
        """Send something on each connection."""
        for one in self._sockets:
            one.sendall(data)

    def read(self, size: int) -> int:
        """Read a little from each connection and return how much there was."""
        found = 0
        for one in self._sockets:
            one.setblocking(False)
            with suppress(BlockingIOError, ConnectionError):
                found += len(one.recv(size))
        return found

    def close(self) -> None:
        """Close all."""
        for one in self._sockets:
            one.close()


def unsent(broker: Broker) -> int:
    """Return the bytes of answers that lie in the broker's memory."""
    return sum(
        connection._writer.transport.get_write_buffer_size()
        for connection in broker._connections.values()
    )


async def test_clients_that_do_not_read_hold_no_more_than_the_memory_for_answers(
    tmp_path: Path,
) -> None:
    limit = 8 * MIB
    async with made(tmp_path, fetch_memory_bytes=limit) as broker, await Raw.to(broker) as polite:
        await polite.create("t")
        large = batch(os.urandom(1000 * 1000))
        for _ in range(24):
            await polite.produce("t", large)
        before, highest = memory("VmRSS"), 0
        stalled = Stalled(broker, 100)
        stalled.send(request(ApiKey.FETCH, 11, fetch_fields("t", 0, max_bytes=2**24)))
        stalled.send(request(ApiKey.FETCH, 11, fetch_fields("t", 3, max_bytes=2**24)))
        assert broker._engine is not None
        memory_held = broker._engine.limits.fetches
        async with asyncio.timeout(20):
            while memory_held.held < limit // 2:
                await polite.ask(ApiKey.METADATA, 1, topics=None)
        for _ in range(200):
            stalled.read(64)
            await polite.ask(ApiKey.METADATA, 1, topics=None)
            highest = max(highest, unsent(broker))
            assert memory_held.held <= limit
        assert highest <= limit + 100 * 2**10  # and headers of answers
        assert memory("VmRSS") - before < 6 * limit
        stalled.close()
        async with asyncio.timeout(20):
            while memory_held.held:
                await polite.ask(ApiKey.METADATA, 1, topics=None)
        assert len((await polite.fetch("t", 0)).records) == len(large)


@pytest.mark.parametrize(
    ("reason", "sent"),
    [
        pytest.param("idle", b"", id="idle"),
        pytest.param("slow", struct.pack(">i", 1000) + b"half", id="half a request"),
        pytest.param(
            "unread",
            request(ApiKey.FETCH, 11, fetch_fields("t", 0, max_bytes=2**24)) * 8,
            id="answers that nobody reads",
        ),
    ],
)
async def test_a_connection_is_given_up(tmp_path: Path, reason: str, sent: bytes) -> None:
    seconds = {"idle_seconds": 0.5} if reason == "idle" else {"stalled_seconds": 0.5}
    async with made(tmp_path, **seconds) as broker, await Raw.to(broker) as polite:
        await polite.create("t")
        for _ in range(8):
            await polite.produce("t", batch(os.urandom(1000 * 1000)))
        stalled = Stalled(broker, 1)
        stalled.send(sent)
        given_up = "stadtbus_connections_given_up_total"
        async with asyncio.timeout(15):
            while not broker._telemetry.registry.get_sample_value(given_up, {"reason": reason}):
                # Who only polls is not idle.
                await polite.fetch("t", 8, max_wait=100)
            while len(broker._connections) > 1:
                await polite.fetch("t", 8, max_wait=10)
        stalled.close()


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


async def test_a_client_that_goes_gives_all_of_its_memory_back(tmp_path: Path) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as polite:
        await polite.create("t")
        await polite.produce("t", batch(os.urandom(100_000)))
        engine = broker._engine
        assert engine is not None
        for _ in range(50):
            async with await Raw.to(broker) as raw:
                for _ in range(20):
                    raw.send(ApiKey.PRODUCE, 9, **produce_fields("t", batch(b"x" * 10_000)))
                    raw.send(ApiKey.FETCH, 11, **fetch_fields("t", 0))
                raw.writer.write(struct.pack(">i", 10_000) + b"half")
                await raw.writer.drain()
        async with asyncio.timeout(10):
            while engine.limits.requests.held or engine.limits.fetches.held:
                await polite.ask(ApiKey.API_VERSIONS, 0)


async def test_large_requests_wait_where_their_memory_is_used_up_and_small_ones_do_not(
    tmp_path: Path,
) -> None:
    async with (
        made(tmp_path, request_memory_bytes=2 * MIB) as broker,
        await Raw.to(broker) as raw,
        await Raw.to(broker) as other,
    ):
        await raw.create("t")
        assert broker._engine is not None
        memory_of_requests = broker._engine.limits.requests
        assert memory_of_requests.try_take(2 * MIB - 1000)
        other.send(ApiKey.PRODUCE, 9, **produce_fields("t", batch(os.urandom(500_000))))
        async with asyncio.timeout(5):
            while not memory_of_requests._waiting:
                assert (await raw.fetch("t", 0)).high_watermark == 0
        memory_of_requests.give(2 * MIB - 1000)
        assert await other.answer()
        assert (await raw.fetch("t", 0)).high_watermark == 1


async def test_who_announces_requests_and_sends_nothing_holds_no_memory_that_others_wait_for(
    tmp_path: Path,
) -> None:
    async with (
        made(tmp_path, request_memory_bytes=8 * MIB, max_bytes_in_flight=6 * MIB) as broker,
        await Raw.to(broker) as raw,
    ):
        await raw.create("t")
        assert broker._engine is not None
        limits = broker._engine.limits
        shared = limits.lane("User:flood")
        flood = [await Raw.to(broker) for _ in range(5)]
        for one in flood:
            await one.ask(ApiKey.METADATA, 1, topics=None)
        for connection in list(broker._connections.values())[1:]:
            connection._lane = shared  # as if all had logged in as one
        for one in flood:
            one.writer.write(struct.pack(">i", 6 * MIB))
        async with asyncio.timeout(5):
            while not shared.reading._waiting:
                await raw.ask(ApiKey.METADATA, 1, topics=None)
            answer = await raw.produce("t", batch(os.urandom(500_000)))
        assert answer.error_code is ErrorCode.none
        for one in flood:
            await one.__aexit__()
        async with asyncio.timeout(5):
            while limits.requests.held or shared.reading.held:
                await raw.ask(ApiKey.API_VERSIONS, 0)


async def test_a_long_turn_of_the_event_loop_shows() -> None:
    turns, longest = Turns(), 0.0
    turns.start()
    asyncio.get_running_loop().call_later(0.05, time.sleep, 0.1)
    async with asyncio.timeout(5):
        while longest < 0.05:
            await asyncio.sleep(0)
            longest = max(longest, turns.longest())
    turns.stop()


async def test_producing_stops_where_the_disk_is_nearly_full_and_goes_on_by_itself(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = {"bytes": 2**40}

    class Usage:
        @property
        def free(self) -> int:
            return free["bytes"]

    monkeypatch.setattr("bus.broker.housekeeping.shutil.disk_usage", lambda _: Usage())
    monkeypatch.setattr(Housekeeping, "step", lambda *_, **__: None)
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        assert (await raw.produce("t", batch(b"1", producer=(5, 0, 0)))).base_offset == 0
        for round_ in range(3):
            free["bytes"] = 2**20
            second = batch(b"2" * 2**19, producer=(5, 0, 1 + round_))
            for _ in range(3):
                refused = await raw.produce("t", second)
                assert refused.error_code is ErrorCode.kafka_storage_error
            assert (await raw.fetch("t", 0)).high_watermark == 1 + round_  # reading goes on
            free["bytes"] = 2**40
            assert (await raw.produce("t", second)).base_offset == 1 + round_
    assert not broker.failed.is_set()


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
