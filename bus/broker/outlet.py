"""The way of answers to one client: how fast it takes them, what memory they hold meanwhile."""

import asyncio
import fcntl
import struct
import termios

from bus.broker.limits import Limits, Pace
from bus.broker.wire import Request


class Outlet:
    """Sends answers to one client.

    Args:
        writer: where they go.
        limits: where the memory that they hold is given back.
        most: bytes of the largest answer to a fetch.

    Attributes:
        pace: how much the client takes at a time.
    """

    def __init__(self, writer: asyncio.StreamWriter, limits: Limits, most: int) -> None:
        self._writer, self._limits = writer, limits
        self.pace = Pace(most)
        self._answering: Request | None = None

    async def send(self, answer: bytes, request: Request) -> None:
        """Send an answer, and return once the client has taken nearly all of it."""
        loop = asyncio.get_running_loop()
        held, started = request.held, loop.time()
        self._writer.write(answer)
        del answer  # one that is taken slowly lies in memory once
        self._answering = request
        self.settle()
        await self._writer.drain()
        if held:
            self.pace.took(held, loop.time() - started)

    def settle(self) -> None:
        """Give back the memory of what the client, or the system, has taken."""
        request = self._answering
        if request is not None and request.held:
            held = min(request.held, self._writer.transport.get_write_buffer_size())
            self._limits.fetches.give(request.held - held)
            request.held = held

    def close(self, request: Request) -> None:
        """Give back all that an answer holds: it was taken, or never will be."""
        self._answering = None
        self._limits.fetches.give(request.held)
        request.held = 0

    def unsent(self) -> int:
        """Return the bytes of answers that the client has not taken."""
        unsent = self._writer.transport.get_write_buffer_size()
        sock = self._writer.get_extra_info("socket")
        if unsent and sock is not None and sock.fileno() >= 0:
            # The system takes more only once much of what it has is gone; so that it goes shows.
            (queued,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))
            unsent += queued
        return unsent
