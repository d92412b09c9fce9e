"""An HTTP listener inside a running event loop: uvicorn without its signal handlers."""

import asyncio
import resource
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from socket import socket

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from bus.acceptor import HANDSHAKES, Acceptor, Served
from bus.audit import REPEAT_SECONDS, Notes, quoted
from bus.listen import bind, refuse_open
from bus.principals import PrincipalMapping, Unmapped, subject
from bus.settings import Address, HttpSettings
from bus.telemetry import Telemetry
from bus.tls import certified

SHARE = 8
"""Of the files that the process may open, a listener takes one in so many at the most."""

PRINCIPAL = "principal"
"""Where a request's state tells whose certificate the client has shown, if it has."""


class HttpListener:
    """Serves an ASGI application at an address until it is stopped.

    Args:
        app: the application.
        settings: where to listen, how it is protected, and what strangers can take of it.
        name: the section of these settings, such as ``ops``.
        telemetry: where those who do not get in are counted.
        notes: where they are told; it is flushed now and then while this runs.
        lacking: what the listener lacks for other machines to reach it, such as ``no login``.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: HttpSettings,
        *,
        name: str,
        telemetry: Telemetry,
        notes: Notes | None = None,
        lacking: Sequence[str] = ("no TLS", "no login"),
    ) -> None:
        self._app, self._settings, self._name = app, settings, name
        self._telemetry, self._notes, self._lacking = telemetry, notes or Notes(), lacking
        self._mapping = PrincipalMapping(settings.principal_mapping)
        self._certificate = certified(settings, name, self._renewed)
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._acceptor: Acceptor | None = None
        self._flushing: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Listen, and return once requests are answered.

        Raises:
            AddressInUse: the port is taken, or the host is none of this machine's.
            InvalidSettings: other machines could reach it, and something is lacking.
        """
        settings, setting = self._settings, f"{self._name}.listen"
        refuse_open(settings.listen, setting, lacking=self._lacking, insecure=settings.insecure)
        listener = bind(settings.listen, setting)
        self._address = Address(host=settings.listen.host, port=listener.getsockname()[1])
        config = uvicorn.Config(
            self._app,
            http="h11",
            log_config=None,
            log_level="error",  # else whoever sends what is no HTTP writes a line each time
            access_log=False,
            proxy_headers=False,  # else programs on this machine could say that they are others
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self._server = server = _Server(config)
        self._serving = asyncio.create_task(server.serve(sockets=[]))
        await server.ready.wait()
        self._acceptor = Acceptor(
            listener,
            partial(_Connection, server, settings, self._principal),
            settings,
            context=self._certificate.context if self._certificate else None,
            name=self._name,
            telemetry=self._telemetry,
            notes=self._notes,
            most=lambda: self.most,
        )
        self._flush()

    @property
    def address(self) -> Address:
        """Where it really listens; known once started."""
        return self._address

    @property
    def url(self) -> str:
        """The address as a client writes it."""
        return f"{'https' if self._certificate else 'http'}://{self._address}"

    @property
    def most(self) -> int:
        """How many connections there may be, as the process has other files to open."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = self._settings.max_connections
        return wanted if files == resource.RLIM_INFINITY else most_of(files, wanted)

    async def stop(self) -> None:
        """Let requests under way finish, at most a second, then close."""
        if self._server is None or self._serving is None:
            return
        if self._acceptor is not None:
            self._acceptor.close()
        if self._flushing is not None:
            self._flushing.cancel()
        self._server.should_exit = True
        with suppress(asyncio.CancelledError):
            await self._serving
        self._server = self._serving = None

    def _renewed(self, usable: bool) -> None:
        """Count a look at a certificate that has changed."""
        outcome = "ok" if usable else "error"
        self._telemetry.certificate_reloads.labels(self._name, outcome).inc()

    def _flush(self) -> None:
        self._notes.flush()
        self._flushing = asyncio.get_running_loop().call_later(REPEAT_SECONDS, self._flush)

    def _principal(self, certificate: bytes, host: str) -> str:
        """Return who the owner of a client's certificate is.

        Raises:
            Unmapped: nobody to the rules.
        """
        name = subject(certificate)
        try:
            return self._mapping.principal(name)
        except Unmapped as error:
            line = (
                f"login refused user={quoted(name)} host={quoted(host)} at={self._name} "
                f"mechanism=certificate reason={quoted(str(error))}"
            )
            self._notes.tell("login", host, (name, host), line)
            raise


def files_of(settings: HttpSettings) -> int:
    """Return how many files a listener's connections and handshakes take at the most."""
    return settings.max_connections * (100 + HANDSHAKES) // 100


def most_of(files: int, wanted: int) -> int:
    """Return how many connections a listener takes where so many files may be open.

    Those who are about their handshake have a file each, too.
    """
    return min(wanted, max(files // SHARE * 100 // (100 + HANDSHAKES), 2))


class _Connection(H11Protocol, Served):
    """A connection that has to ask for something soon, all of it, and to take what it is answered.

    Args:
        server: what it is a connection of.
        settings: how long it has for that.
        principal: returns whose a client's certificate is.
    """

    def __init__(
        self, server: "_Server", settings: HttpSettings, principal: Callable[[bytes, str], str]
    ) -> None:
        super().__init__(
            config=server.config,
            server_state=server.server_state,
            app_state=dict(server.lifespan.state),
        )
        self._settings, self._principal = settings, principal
        self._gone = self._full = False
        self._patience = 0.0  # seconds, for what is waited for now; 0 if that is not the client
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._hurry()
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        if certificate is not None:
            try:
                host = str(transport.get_extra_info("peername", ("",))[0])
                self.app_state[PRINCIPAL] = self._principal(certificate, host)
            except Unmapped:
                transport.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._hurry()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._hurry()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._full = True
        self._hurry()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._full = False
        self._hurry()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._gone = True
        self._hurry()
        self.over()

    def _hurry(self) -> None:
        """Give the client so much time for what it is to do now, from when it is its turn."""
        patience = 0.0 if self._gone else self._time()
        if patience == self._patience:
            return
        self._patience = patience
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        if patience:
            self._waiting = self.loop.call_later(patience, self.transport.abort)

    def _time(self) -> float:
        """Return how many seconds the client has; 0 if it is not its turn."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        if cycle is None or cycle.response_complete:
            return self._settings.idle_seconds
        return self._settings.stalled_seconds if cycle.more_body or self._full else 0.0


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the node: it stops its roles in order."""
        yield

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()
