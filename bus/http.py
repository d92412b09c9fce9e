"""An HTTP listener inside a running event loop: uvicorn without its signal handlers."""

import asyncio
import errno
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp

from bus.errors import AddressInUse, InvalidSettings
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


def require_loopback(listen: Address, setting: str) -> None:
    """Refuse an address that others could reach: there is no TLS and no login yet.

    Raises:
        InvalidSettings: the address is not loopback.
    """
    if not listen.is_loopback:
        raise InvalidSettings(
            f"{listen} can be reached from other machines, but there is no TLS and no login yet",
            where=setting,
            remedy="listen on 127.0.0.1 or ::1",
        )


def bind(listen: Address, setting: str) -> socket.socket:
    """Return a listening socket.

    Raises:
        AddressInUse: the port is taken, or the host is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    # Only for sockets that say they are TCP does asyncio switch off Nagle's algorithm, which
    # would hold every answer back for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((listen.host, listen.port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        taken = error.errno == errno.EADDRINUSE
        raise AddressInUse(
            "the port is taken" if taken else f"cannot be listened on: {error.strerror}",
            where=f"{setting} {listen}",
            remedy="stop the other program, or choose another port (0 takes a free one)",
        ) from error
    listener.setblocking(False)
    return listener
