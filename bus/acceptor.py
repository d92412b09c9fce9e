"""Connections of a listener, no more than there may be, so that a flood of them ends at the door.

Each is one file of the process. Without a limit, strangers who only connect could take them all,
and the broker in the same process could take no client and open no file any more.
"""

import asyncio
import errno
import logging
import resource
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from functools import partial

HANDSHAKE_SECONDS = 10.0
CLOSE_SECONDS = 5.0
MOST = 512  # connections, those included that have not agreed on TLS yet
_PAUSE = 1.0  # seconds, when the process may open no more files
_TOLD_EVERY = 60.0  # seconds between two lines that say that connections are refused
_SHARE = 8  # of the files that the process may open, one in so many

_NO_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

log = logging.getLogger(__name__)


class Served(asyncio.Protocol):
    """A connection's protocol that tells when it is over."""

    gone: asyncio.Event


def most_of(files: int) -> int:
    """Return how many connections one listener takes where so many files may be open."""
    return max(min(MOST, files // _SHARE), 2)


def _most() -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if files == resource.RLIM_INFINITY else most_of(files)


class Acceptor:
    """Takes connections, each with a time limit for its handshake, until it is closed.

    One address gets half of all places at the most.

    Args:
        listener: a socket that listens; closed with this.
        protocol: makes the protocol of a connection.
        context: what TLS is spoken with; None is none.
        name: what listens, for the log.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], Served],
        *,
        context: ssl.SSLContext | None,
        name: str,
    ) -> None:
        self._listener, self._protocol, self._context = listener, protocol, context
        self._name = name
        self._hosts: Counter[str] = Counter()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._taken: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._silent_until = self._loop.time()
        self._accepting = self._loop.create_task(self._accept())
        # Not before the loop has let go of it.
        self._accepting.add_done_callback(lambda _: listener.close())

    def close(self) -> None:
        """Take no more connections; those that are open stay."""
        self._accepting.cancel()
        for task in self._handshakes:
            task.cancel()

    async def _accept(self) -> None:
        while True:
            try:
                connection, address = await self._loop.sock_accept(self._listener)
            except OSError as error:
                self._tell(logging.ERROR, "%s: no connection can be taken: %s", error)
                if error.errno in _NO_FILES:
                    await asyncio.sleep(_PAUSE)
                continue
            host, most = str(address[0]), _most()
            if self._hosts.total() >= most or self._hosts[host] >= most // 2:
                connection.close()
                self._tell(logging.WARNING, "%s: refusing connections, of %s too: too many", host)
                continue
            self._hosts[host] += 1
            task = self._loop.create_task(self._serve(connection))
            self._taken.add(task)
            self._handshakes.add(task)
            task.add_done_callback(partial(self._ended, host, connection))

    def _ended(self, host: str, connection: socket.socket, task: asyncio.Task[None]) -> None:
        if task in self._handshakes:  # given up, perhaps before it began
            connection.close()
        self._taken.discard(task)
        self._handshakes.discard(task)
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]

    async def _serve(self, connection: socket.socket) -> None:
        try:
            _, served = await self._loop.connect_accepted_socket(
                self._protocol,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if self._context else None,
                ssl_shutdown_timeout=CLOSE_SECONDS if self._context else None,
            )
        except OSError:  # it went away, took too long or speaks no TLS
            return
        if task := asyncio.current_task():
            self._handshakes.discard(task)
        await served.gone.wait()

    def _tell(self, level: int, message: str, *values: object) -> None:
        """Say something that may go on and on, now and then."""
        if (now := self._loop.time()) >= self._silent_until:
            self._silent_until = now + _TOLD_EVERY
            log.log(level, message, self._name, *values)
