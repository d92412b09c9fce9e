"""An HTTP listener among strangers who connect and say nothing, or not all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from bus.http import HttpListener, most_of
from bus.settings import Address, OpsSettings
from bus.telemetry import Telemetry
from tests.waiting import until

ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def serving(
    telemetry: Telemetry | None = None, *, app: ASGIApp | None = None, **limits: float
) -> AsyncIterator[Address]:
    settings = OpsSettings.model_validate({"listen": "127.0.0.1:0", **limits})
    telemetry = telemetry or Telemetry()
    listener = HttpListener(app or Starlette(), settings, name="ops", telemetry=telemetry)
    await listener.start()
    yield listener.address
    await listener.stop()


@pytest.fixture
async def address(telemetry: Telemetry) -> AsyncIterator[Address]:
    async with serving(telemetry, max_connections=8, max_connections_per_address=4) as found:
        yield found


async def connected(address: Address, opened: AsyncExitStack, host: str = "127.0.0.1") -> Stream:
    reader, writer = await asyncio.open_connection(address.host, address.port, local_addr=(host, 0))
    opened.push_async_callback(_closed, writer)
    return reader, writer


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def answer(stream: Stream, request: bytes = ASK) -> bytes:
    """Return the beginning of the answer; nothing if the connection is closed instead."""
    reader, writer = stream
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(12), 5)
    except ConnectionError:
        return b""


async def test_one_address_leaves_room_for_others(address: Address, telemetry: Telemetry) -> None:
    """It gets its share of all places; whoever comes from elsewhere is served meanwhile."""
    async with AsyncExitStack() as opened:
        silent = [await connected(address, opened) for _ in range(20)]
        assert await answer(await connected(address, opened)) == b""
        assert await answer(await connected(address, opened, "127.0.0.2")) == b"HTTP/1.1 404"
        assert sum([await answer(stream) != b"" for stream in silent]) == 4
    assert telemetry.connections_refused.labels("ops", "address")._value.get() == 17


async def test_there_are_no_more_than_so_many_connections(
    address: Address, telemetry: Telemetry
) -> None:
    """Whatever addresses they come from."""
    async with AsyncExitStack() as opened:
        for host in ("127.0.0.1", "127.0.0.2"):
            for _ in range(4):
                assert await answer(await connected(address, opened, host)) != b""
        assert await answer(await connected(address, opened, "127.0.0.3")) == b""
    assert telemetry.connections_refused.labels("ops", "all")._value.get() == 1


@pytest.mark.parametrize(
    ("files", "room"),
    [
        pytest.param(10_000, 512, id="as many as are wanted"),
        pytest.param(1024, 85, id="fewer where there are few files, with as many handshakes by it"),
        pytest.param(8, 2, id="never none"),
    ],
)
def test_connections_leave_others_their_files(files: int, room: int) -> None:
    assert most_of(files, 512) == room


async def test_those_who_go_make_room(address: Address) -> None:
    """A place is free again once its connection is closed."""
    async with AsyncExitStack() as opened:
        for _ in range(8):
            await connected(address, opened)
        assert await answer(await connected(address, opened)) == b""

    async def served() -> bool:
        async with AsyncExitStack() as opened:
            return await answer(await connected(address, opened)) != b""

    await until(served, 5)


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param((), id="nothing"),
        pytest.param((b"GET / HTTP/1.1\r\nHos",), id="half a header"),
        pytest.param((ASK, b"GET / HTTP/1.1\r\nHos"), id="half a header after an answer"),
    ],
)
async def test_silence_ends(begun: tuple[bytes, ...]) -> None:
    """Who asks for nothing is cut off after a while."""
    async with serving(idle_seconds=0.2) as address, AsyncExitStack() as opened:
        reader, writer = await connected(address, opened)
        for part in begun:
            writer.write(part)
        ended = asyncio.ensure_future(reader.read())
        await until(ended.done, 3)
        ended.exception()


async def reading(scope: Scope, receive: Receive, send: Send) -> None:
    """Read a request, and answer nothing."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 204})
    await send({"type": "http.response.body"})


async def long(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer more than a system keeps for a client."""
    await send({"type": "http.response.start", "status": 200})
    for _ in range(1000):
        await send({"type": "http.response.body", "body": bytes(2**16), "more_body": True})


@pytest.mark.parametrize(
    ("app", "asked"),
    [
        pytest.param(reading, POST % 9 + b"half", id="half a request"),
        pytest.param(long, ASK, id="an answer that nobody reads"),
    ],
)
async def test_a_client_that_stalls_has_to_go(app: ASGIApp, asked: bytes) -> None:
    """Half a request is not waited for, and what nobody takes is not kept."""
    async with (
        serving(app=app, max_connections=1, stalled_seconds=1) as address,
        AsyncExitStack() as opened,
    ):
        _, writer = await connected(address, opened)
        writer.write(asked)

        async def free() -> bool:
            async with AsyncExitStack() as other:
                return await answer(await connected(address, other), POST % 0) != b""

        assert not await free()
        await until(free, 5)


async def test_nobody_says_that_he_is_somebody_else(telemetry: Telemetry) -> None:
    """Whatever a header says, it is the connection's address that counts."""

    async def tells(scope: Scope, receive: Receive, send: Send) -> None:
        host = scope["client"][0].encode()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": host})

    async with serving(telemetry, app=tells) as address, AsyncExitStack() as opened:
        reader, writer = await connected(address, opened)
        forged = b"X-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n"
        writer.write(ASK.removesuffix(b"\r\n") + forged)
        assert b"192.0.2.1" not in (await asyncio.wait_for(reader.read(), 5))
