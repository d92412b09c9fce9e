"""An HTTP listener inside a running event loop: uvicorn without its signal handlers."""

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp

from bus.listen import bind, require_loopback
from bus.settings import Address


class HttpListener:
    """Serves an ASGI application at an address until it is stopped.

    Args:
        app: the application.
        listen: where to listen; port 0 takes a free one. Loopback only, as nothing here asks
            who is calling.
        setting: the name of the setting that holds the address, for error messages.
    """

    def __init__(self, app: ASGIApp, listen: Address, *, setting: str) -> None:
        self._app, self._listen, self._setting = app, listen, setting
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen, and return once requests are answered.

        Raises:
            AddressInUse: the port is taken, or the host is none of this machine's.
            InvalidSettings: the address is not loopback.
        """
        require_loopback(self._listen, self._setting)
        listener = bind(self._listen, self._setting)
        self._address = Address(host=self._listen.host, port=listener.getsockname()[1])
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        await self._server.ready.wait()

    @property
    def address(self) -> Address:
        """Where it really listens; known once started."""
        return self._address

    @property
    def url(self) -> str:
        """The address as a client writes it."""
        return f"http://{self._address}"

    async def stop(self) -> None:
        """Let requests under way finish, at most a second, then close."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        with suppress(asyncio.CancelledError):
            await self._serving
        self._server = self._serving = None


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the node: it stops its roles in order."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()
