"""An HTTP listener among strangers who connect and say nothing, or not all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress

import pytest
from starlette.applications import Starlette

from bus import acceptor, http
from bus.http import HttpListener
from bus.settings import Address
from tests.waiting import until

ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def address(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Address]:
    monkeypatch.setattr(acceptor, "MOST", 8)
    listener = HttpListener(Starlette(), Address(host="127.0.0.1", port=0), setting="ops.listen")
    await listener.start()
    yield listener.address
    await listener.stop()


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


async def test_one_address_leaves_room_for_others(address: Address) -> None:
    """It gets half of all places; whoever comes from elsewhere is served meanwhile."""
    async with AsyncExitStack() as opened:
        silent = [await connected(address, opened) for _ in range(20)]
        assert await answer(await connected(address, opened)) == b""
        assert await answer(await connected(address, opened, "127.0.0.2")) == b"HTTP/1.1 404"
        assert sum([await answer(stream) != b"" for stream in silent]) == 4


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
async def test_silence_ends(
    address: Address, monkeypatch: pytest.MonkeyPatch, begun: tuple[bytes, ...]
) -> None:
    """Who asks for nothing is cut off after a while."""
    monkeypatch.setattr(http, "REQUEST_SECONDS", 0.2)
    async with AsyncExitStack() as opened:
        reader, writer = await connected(address, opened)
        for part in begun:
            writer.write(part)
        ended = asyncio.ensure_future(reader.read())
        await until(ended.done, 3)
        ended.exception()
