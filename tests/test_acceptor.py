"""What takes connections, with TLS, among those who connect and say nothing."""

import asyncio
import gc
import socket
import ssl
import tracemalloc
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, suppress
from functools import partial

import pytest
import trustme

from bus.acceptor import Acceptor, Served
from bus.audit import Notes
from bus.settings import ListenerSettings
from bus.telemetry import Telemetry
from tests.waiting import until

HOST = "127.0.0.1"
FEWEST = 16  # handshakes under way, however few connections there may be


class Silent(Served):
    """A connection on which nothing is said."""

    def connection_lost(self, exc: Exception | None) -> None:
        self.over()


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of a listener and of those who trust it."""
    authority = trustme.CA()
    own, context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert(HOST).configure_cert(own)
    authority.configure_trust(context)
    return own, context


Door = Callable[..., tuple[str, int]]


@pytest.fixture
async def door(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], telemetry: Telemetry
) -> AsyncIterator[Door]:
    """Begin to take connections; return where."""
    acceptors, listeners = [], []

    def opens(most: int | None = None, **limits: float) -> tuple[str, int]:
        listener = socket.create_server((HOST, 0))
        listener.setblocking(False)
        address: tuple[str, int] = listener.getsockname()
        settings = ListenerSettings.model_validate({"listen": f"{HOST}:0", **limits})
        acceptor = Acceptor(
            listener,
            Silent,
            settings,
            context=contexts[0],
            name="test",
            telemetry=telemetry,
            notes=Notes(),
            most=None if most is None else lambda: most,
        )
        acceptors.append(acceptor)
        listeners.append(listener)
        return address

    yield opens
    for acceptor in acceptors:
        acceptor.close()
    await until(lambda: all(listener.fileno() < 0 for listener in listeners))


async def enters(address: tuple[str, int], context: ssl.SSLContext) -> bool:
    """Agree on TLS and go; say whether one could."""
    try:
        _, writer = await asyncio.open_connection(*address, ssl=context, server_hostname=HOST)
    except OSError:
        return False
    await _closed(writer)
    return True


def failures(telemetry: Telemetry, reason: str) -> float:
    return float(telemetry.handshake_failures.labels("test", reason)._value.get())


async def test_a_flood_of_handshakes(
    door: Door,
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
    telemetry: Telemetry,
    opened: ExitStack,
) -> None:
    """Many who say nothing, of one address or of two, keep nobody from his handshake."""
    address, reason = door(max_connections=32), "too many handshakes at once"
    for host in ("127.0.0.2", "127.0.0.3", "127.0.0.1") * 20:
        opened.enter_context(socket.create_connection(address, source_address=(host, 0)))
    await until(lambda: failures(telemetry, reason) == 60 - FEWEST)
    assert await enters(address, contexts[1])
    assert failures(telemetry, reason) == 60 - FEWEST + 1


async def test_a_handshake_takes_little_memory(door: Door, opened: ExitStack) -> None:
    """A thousand strangers who only connect hold less than 100 MB."""
    address, many = door(max_connections=1000), 100
    before = _handshakes()
    opened.callback(tracemalloc.stop)
    tracemalloc.start()
    for _ in range(many):
        opened.enter_context(socket.create_connection(address))
    await until(lambda: _handshakes() == before + many)
    assert tracemalloc.get_traced_memory()[0] < many * 100_000


def _handshakes() -> int:
    return sum(isinstance(one, SSLProtocol) for one in gc.get_objects())


async def test_a_silent_handshake_ends(door: Door, telemetry: Telemetry, opened: ExitStack) -> None:
    """After as long as the setting says."""
    address = door(handshake_seconds=0.2)
    half = opened.enter_context(socket.create_connection(address))
    half.sendall(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a ClientHello
    opened.enter_context(socket.create_connection(address))
    await until(lambda: failures(telemetry, "it took too long") == 2)


async def test_a_place_is_looked_for_once_more_after_the_handshake(
    door: Door, contexts: tuple[ssl.SSLContext, ssl.SSLContext], telemetry: Telemetry
) -> None:
    """Those who begin while there is a place cannot all have it."""
    address = door(max_connections=2)
    refused = telemetry.connections_refused.labels("test", "all")
    async with AsyncExitStack() as opened:

        async def connect() -> None:
            _, writer = await asyncio.open_connection(
                *address, ssl=contexts[1], server_hostname=HOST
            )
            opened.push_async_callback(_closed, writer)

        await asyncio.gather(*(connect() for _ in range(8)), return_exceptions=True)
        await until(lambda: refused._value.get() == 6)
    await until(lambda: enters(address, contexts[1]))


@pytest.mark.parametrize(
    ("most", "taken"),
    [
        pytest.param(None, 6, id="as many of an address as settings say"),
        pytest.param(4, 3, id="fewer where there is less room, so that others have some, too"),
        pytest.param(1, 1, id="never none"),
    ],
)
async def test_an_address_gets_its_share(
    door: Door,
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
    telemetry: Telemetry,
    most: int | None,
    taken: int,
) -> None:
    address = door(most, max_connections=8, max_connections_per_address=6)
    async with AsyncExitStack() as opened:
        for _ in range(taken):
            _, writer = await asyncio.open_connection(
                *address, ssl=contexts[1], server_hostname=HOST
            )
            opened.push_async_callback(_closed, writer)
        assert not await enters(address, contexts[1])
    refused = telemetry.connections_refused
    assert sum(refused.labels("test", limit)._value.get() for limit in ("all", "address")) == 1


async def test_somebody_who_comes_as_it_closes_is_nobody_s_error(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], telemetry: Telemetry, opened: ExitStack
) -> None:
    loop, errors = asyncio.get_running_loop(), list[dict[str, object]]()
    loop.set_exception_handler(lambda _, context: errors.append(context))
    for _ in range(20):
        listener = socket.create_server((HOST, 0))
        listener.setblocking(False)
        settings = ListenerSettings.model_validate({"listen": f"{HOST}:0"})
        acceptor = Acceptor(
            listener,
            Silent,
            settings,
            context=contexts[0],
            name="test",
            telemetry=telemetry,
            notes=Notes(),
        )
        await asyncio.sleep(0)
        opened.enter_context(socket.create_connection(listener.getsockname()))
        loop.call_soon(acceptor.close)  # before the loop has seen who came
        await until(partial(_is_closed, listener))
    gc.collect()
    assert errors == []


def _is_closed(listener: socket.socket) -> bool:
    return listener.fileno() < 0


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()
