"""Connections of a listener, no more than there may be, so that a flood of them ends at the door.

Each is one file of the process. Without a limit, strangers who only connect could take them all,
and the broker in the same process could take no client and open no file any more.
"""

import asyncio
import errno
import logging
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import cast

from bus.audit import Notes, quoted
from bus.settings import ListenerSettings
from bus.telemetry import Telemetry
from bus.tls import failure

HANDSHAKES = 50
"""Handshakes under way at the most, for each hundred connections that there may be."""

_TLS_BYTES = 2**16
"""What is read of a TLS connection at once; a record of TLS has a quarter of it at the most."""

_FEWEST = 16
_AT_ONCE = 16  # connections taken before others in the process get their turn
_CLOSE_SECONDS = 5.0
_PAUSE = 1.0  # seconds, when the process may open no more files
_TOLD_EVERY = 60.0  # seconds between two lines that say that no connection can be taken
_NO_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

log = logging.getLogger(__name__)

# Each connection that speaks TLS keeps a buffer of this size from its first byte on: with 256 KiB,
# asyncio's own choice, a thousand strangers who only connect held 300 MB.
SSLProtocol.max_size = _TLS_BYTES


class Served(asyncio.Protocol):
    """A connection's protocol, which calls `over` once the connection is lost."""

    over: Callable[[], None]


class Acceptor:
    """Takes connections until it is closed, and hands on those that agree on TLS in time.

    Where too many handshakes are under way, the oldest of the host that has most of them is given
    up: one that is meant takes milliseconds, so a flood of them hinders nobody else, nor others on
    that host. Where there are fewer places than the settings want, an address gets as much fewer.

    Args:
        listener: a socket that listens; closed with this.
        protocol: makes the protocol of a connection.
        settings: how many connections there may be, and how long a handshake may take.
        context: what TLS is spoken with; None is none.
        name: what listens: ``broker``, ``registry`` or ``ops``.
        telemetry: where those who do not get in are counted.
        notes: where they are told.
        most: how many connections there may be now; as many as settings say if None.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], Served],
        settings: ListenerSettings,
        *,
        context: ssl.SSLContext | None,
        name: str,
        telemetry: Telemetry,
        notes: Notes,
        most: Callable[[], int] | None = None,
    ) -> None:
        self._listener, self._protocol, self._context = listener, protocol, context
        self._settings, self._name = settings, name
        self._telemetry, self._notes = telemetry, notes
        self._most = most or (lambda: settings.max_connections)
        self._open = 0
        self._hosts: Counter[str] = Counter()  # of open connections
        self._handshakes: dict[asyncio.Task[None], str] = {}
        self._shaking: Counter[str] = Counter()  # hosts of handshakes
        self._loop = asyncio.get_running_loop()
        self._silent_until = self._loop.time()
        self._pausing: asyncio.TimerHandle | None = None
        self._listen()

    def close(self) -> None:
        """Take no more connections; those that are open stay."""
        if self._pausing is not None:
            self._pausing.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for task in self._handshakes:
            task.cancel()

    def _listen(self) -> None:
        # Not by `sock_accept`, which fails aloud and loses a connection that comes as it is ended.
        self._pausing = None
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        """Take some of those that wait; the loop calls again while there are more."""
        for _ in range(_AT_ONCE):
            try:
                connection, address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._without_files(error)
                return
            connection.setblocking(False)
            self._take(connection, str(address[0]))

    def _without_files(self, error: OSError) -> None:
        if (now := self._loop.time()) >= self._silent_until:
            self._silent_until = now + _TOLD_EVERY
            log.error("%s: no connection can be taken: %s", self._name, error)
        if error.errno in _NO_FILES:
            self._loop.remove_reader(self._listener)
            self._pausing = self._loop.call_later(_PAUSE, self._listen)

    def _take(self, connection: socket.socket, host: str) -> None:
        if limit := self._full(host):
            connection.close()
            self._refuse(host, limit)
            return
        if self._context and len(self._handshakes) >= self._most_handshakes():
            self._give_one_up()
        task = self._loop.create_task(self._shake_hands(connection, host))
        self._handshakes[task] = host
        self._shaking[host] += 1
        task.add_done_callback(self._shaken)
        task.add_done_callback(partial(_closed, connection))

    def _full(self, host: str) -> str:
        """Return the limit that one more connection would break; empty if none."""
        most, settings = self._most(), self._settings
        if self._open >= most:
            return "all"
        share = settings.max_connections_per_address * most // settings.max_connections
        return "address" if self._hosts[host] >= max(share, 1) else ""

    def _refuse(self, host: str, limit: str) -> None:
        self._telemetry.connections_refused.labels(self._name, limit).inc()
        line = f"no place host={quoted(host)} at={self._name} limit={limit}"
        self._notes.tell("full", host, (self._name, host, limit), line)

    def _most_handshakes(self) -> int:
        return max(self._most() * HANDSHAKES // 100, _FEWEST)

    def _give_one_up(self) -> None:
        ((crowd, _),) = self._shaking.most_common(1)
        oldest = next(task for task, host in self._handshakes.items() if host == crowd)
        self._failed(crowd, "too many handshakes at once")
        oldest.cancel()
        self._shaken(oldest)

    def _shaken(self, task: asyncio.Task[None]) -> None:
        host = self._handshakes.pop(task, None)
        if host is not None:  # else it was given up
            _less(self._shaking, host)

    async def _shake_hands(self, connection: socket.socket, host: str) -> None:
        seconds = self._settings.handshake_seconds
        try:
            with suppress(OSError):  # it has gone already
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(
                partial(_Door, partial(self._enter, host)),
                connection,
                ssl=self._context,
                ssl_handshake_timeout=seconds if self._context else None,
                ssl_shutdown_timeout=_CLOSE_SECONDS if self._context else None,
            )
        except OSError as error:
            connection.close()
            if self._context is not None:
                self._failed(host, failure(error))

    def _failed(self, host: str, reason: str) -> None:
        self._telemetry.handshake_failures.labels(self._name, reason).inc()
        line = f"no TLS host={quoted(host)} at={self._name} reason={quoted(reason)}"
        self._notes.tell("tls", host, (self._name, host, reason), line)

    def _enter(self, host: str, transport: asyncio.Transport) -> None:
        """Hand a connection on, if there is still a place for it."""
        if limit := self._full(host):
            transport.abort()
            self._refuse(host, limit)
            return
        protocol = self._protocol()
        protocol.over = partial(self._left, host)
        self._open += 1
        self._hosts[host] += 1
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def _left(self, host: str) -> None:
        self._open -= 1
        _less(self._hosts, host)


class _Door(asyncio.Protocol):
    """Stands for a connection's protocol until TLS is agreed on.

    Args:
        enter: takes the connection then.
    """

    def __init__(self, enter: Callable[[asyncio.Transport], None]) -> None:
        self._enter = enter

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._enter(cast("asyncio.Transport", transport))


def _less(counted: Counter[str], host: str) -> None:
    counted[host] -= 1
    if not counted[host]:
        del counted[host]


def _closed(connection: socket.socket, handshake: asyncio.Task[None]) -> None:
    """Close what was given up, which may have been before it began."""
    if handshake.cancelled():
        connection.close()
