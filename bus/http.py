"""An HTTP listener inside a running event loop: uvicorn without its signal handlers."""

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from socket import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from bus.acceptor import Acceptor, Served
from bus.listen import bind, refuse_open
from bus.settings import Address
from bus.tls import Certificate

REQUEST_SECONDS = 10.0
"""Seconds in which a request's header has to come, from when the connection is free for it."""


class HttpListener:
    """Serves an ASGI application at an address until it is stopped.

    Args:
        app: the application.
        listen: where to listen; port 0 takes a free one.
        setting: the name of the setting that holds the address, for error messages.
        certificate: with it the listener speaks TLS.
        lacking: what the listener lacks for other machines to reach it, such as ``no login``.
        insecure: other machines may reach it whatever it lacks.
    """

    def __init__(
        self,
        app: ASGIApp,
        listen: Address,
        *,
        setting: str,
        certificate: Certificate | None = None,
        lacking: Sequence[str] = ("no TLS", "no login"),
        insecure: bool = False,
    ) -> None:
        self._app, self._listen, self._setting = app, listen, setting
        self._certificate, self._lacking, self._insecure = certificate, lacking, insecure
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._acceptor: Acceptor | None = None

    async def start(self) -> None:
        """Listen, and return once requests are answered.

        Raises:
            AddressInUse: the port is taken, or the host is none of this machine's.
            InvalidSettings: other machines could reach it, and something is lacking.
        """
        lacking, insecure = self._lacking, self._insecure
        refuse_open(self._listen, self._setting, lacking=lacking, insecure=insecure)
        listener = bind(self._listen, self._setting)
        self._address = Address(host=self._listen.host, port=listener.getsockname()[1])
        config = uvicorn.Config(
            self._app,
            http=_Connection,
            log_config=None,
            log_level="error",  # else whoever sends what is no HTTP writes a line each time
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self._server = server = _Server(config)
        self._serving = asyncio.create_task(server.serve(sockets=[]))
        await server.ready.wait()
        self._acceptor = Acceptor(
            listener,
            server.connection,
            context=self._certificate.context if self._certificate else None,
            name=self._setting,
        )

    @property
    def address(self) -> Address:
        """Where it really listens; known once started."""
        return self._address

    @property
    def url(self) -> str:
        """The address as a client writes it."""
        return f"{'https' if self._certificate else 'http'}://{self._address}"

    async def stop(self) -> None:
        """Let requests under way finish, at most a second, then close."""
        if self._server is None or self._serving is None:
            return
        if self._acceptor is not None:
            self._acceptor.close()
        self._server.should_exit = True
        with suppress(asyncio.CancelledError):
            await self._serving
        self._server = self._serving = None


class _Connection(H11Protocol, Served):
    """A connection that has to ask for something soon, or has to go."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gone = asyncio.Event()
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._hurry()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._hurry()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._hurry()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._rest()
        self.gone.set()

    def _hurry(self) -> None:
        """Give up a connection that has no request under way for too long."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        if cycle is not None and not cycle.response_complete:
            self._rest()
        elif self._waiting is None and not self.gone.is_set():
            self._waiting = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def _rest(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the node: it stops its roles in order."""
        yield

    def connection(self) -> _Connection:
        """Return the protocol of one more connection."""
        return _Connection(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()
