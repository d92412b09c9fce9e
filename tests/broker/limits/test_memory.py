"""What clients may hold of a broker's memory: requests, answers, and what is unpacked."""

import asyncio
import os
import struct
from pathlib import Path

import cramjam
import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey, Broker
from tests.broker.raw import CODECS, Raw, batch, fetch_fields, produce_fields, request, wrapped
from tests.broker.stalled import Stalled
from tests.broker.stores import made

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
