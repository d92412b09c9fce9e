"""An HTTP listener inside a running event loop: uvicorn without its signal handlers."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp

from bus.listen import bind, refuse_open
from bus.settings import Address
from bus.tls import Certificate


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
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
            ssl_context_factory=_giving(self._certificate) if self._certificate else None,
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
        return f"{'https' if self._certificate else 'http'}://{self._address}"

    async def stop(self) -> None:
        """Let requests under way finish, at most a second, then close."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        with suppress(asyncio.CancelledError):
            await self._serving
        self._server = self._serving = None


def _giving(certificate: Certificate) -> Callable[..., ssl.SSLContext]:
    """Return what uvicorn asks for how to speak TLS."""
    return lambda _config, _default: certificate.context


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
