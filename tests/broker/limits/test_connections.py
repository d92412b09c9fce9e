"""How many connections a broker takes, and which it gives up."""

import asyncio
import os
import resource
import struct
from pathlib import Path

import pytest

from bus.broker import ApiKey
from bus.broker.descriptors import room_for
from tests.broker.raw import Raw, batch, fetch_fields, request
from tests.broker.stalled import Stalled
from tests.broker.stores import made

NO_LIMIT = resource.RLIM_INFINITY


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
