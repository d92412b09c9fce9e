"""Clients that take no answer."""

import socket
from contextlib import suppress

from bus.broker import Broker


class Stalled:
    """Clients that ask and never read, with as little of a buffer as the system allows."""

    def __init__(self, broker: Broker, count: int) -> None:
        self._sockets = []
        for _ in range(count):
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect((broker.address.host, broker.address.port))
            self._sockets.append(one)

    def send(self, data: bytes) -> None:
        """Send something on each connection."""
        for one in self._sockets:
            one.sendall(data)

    def read(self, size: int) -> int:
        """Read a little from each connection and return how much there was."""
        found = 0
        for one in self._sockets:
            one.setblocking(False)
            with suppress(BlockingIOError, ConnectionError):
                found += len(one.recv(size))
        return found

    def close(self) -> None:
        """Close all."""
        for one in self._sockets:
            one.close()
