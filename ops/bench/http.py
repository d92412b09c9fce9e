"""A client that keeps connections busy: requests as bytes, answers as status and body.

Written on asyncio's transports, as a client that does more would be what is measured.
"""

import asyncio
import time
from collections.abc import Iterator
from typing import Self

from bus.settings import Address

Answer = tuple[int, bytes]


def request(method: str, path: str, host: str, body: bytes = b"") -> bytes:
    """Return a request as it goes over the wire."""
    head = f"{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(body)}\r\n"
    kind = "content-type: application/vnd.schemaregistry.v1+json\r\n" if body else ""
    return f"{head}{kind}\r\n".encode() + body


class Connection(asyncio.Protocol):
    """One connection with one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def to(cls, address: Address) -> Self:
        """Connect."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, address.host, address.port)
        return connection

    async def ask(self, request: bytes) -> Answer:
        """Send a request and return its answer.

        Raises:
            ConnectionError: the connection ended first.
        """
        if self._transport is None:
            raise ConnectionError("there is no connection any more")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Hand over the answer once it is whole."""
        self._received += data
        answer = split(self._received)
        if answer is not None and self._answer is not None:
            self._received.clear()
            self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits for an answer that there will be none."""
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the connection ended"))


def split(received: bytes | bytearray) -> Answer | None:
    """Return status and body of an answer with a content-length; None while it is not whole."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(received[:end]).lower()
    at = head.index(b"content-length:") + 15
    length = int(head[at:].partition(b"\r\n")[0])
    body = bytes(received[end + 4 :])
    return (int(head[9:12]), body) if len(body) >= length else None


async def keep_asking(
    address: Address, requests: Iterator[bytes], connections: int
) -> tuple[list[Answer], list[float], float]:
    """Send requests on several connections, each the next one once it has its answer.

    Returns:
        The answers, the seconds that each took, and the seconds that all took together.
    """
    opened = [await Connection.to(address) for _ in range(connections)]
    answers: list[Answer] = []
    took: list[float] = []

    async def ask(connection: Connection) -> None:
        for one in requests:
            begun = time.perf_counter()
            answers.append(await connection.ask(one))
            took.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    try:
        await asyncio.gather(*map(ask, opened))
        return answers, took, time.perf_counter() - begun
    finally:
        for connection in opened:
            connection.close()
