"""The broker's life: the folder, the listener, the connections."""

import asyncio
import logging
import socket
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from bus.broker.connection import ClientProtocol, Connection
from bus.broker.directory import Directory
from bus.broker.engine import Engine
from bus.broker.faults import Faults
from bus.broker.groups.shell import Groups
from bus.errors import StorageUnusable
from bus.listen import bind, require_loopback
from bus.settings import Address, BrokerSettings
from bus.telemetry import Telemetry

_MEASURE_EVERY = 1.0  # seconds
_GRACE = 2.0  # seconds for answering what was taken, when stopping
_READ_AHEAD = 2**18  # bytes buffered of a connection beyond the frame at hand

log = logging.getLogger(__name__)


class Broker:
    """A single-node broker that speaks the Kafka protocol and keeps everything in SQLite.

    Args:
        settings: where to listen, and limits.
        data: the folder for the database; it is made if there is none.
        telemetry: where requests are counted.
        clock: seconds that only go forward, for consumer groups.

    Attributes:
        faults: what a test has arranged to go wrong; empty in production.
        address: where it listens, once started.
        failed: set if the storage failed and the broker stopped by itself.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        data: Path,
        telemetry: Telemetry,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.faults = Faults()
        self.address = settings.listen
        self.failed = asyncio.Event()
        self._settings, self._telemetry, self._clock = settings, telemetry, clock
        self._directory = Directory(data)
        self._engine: Engine | None = None
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._stopping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the storage and listen.

        Raises:
            InvalidSettings: the address to listen on is not this machine's own.
            AddressInUse: the address is taken.
            StorageInUse: another process uses the folder.
            StorageUnusable: the folder cannot be written to, or holds something else.
        """
        require_loopback(self._settings.listen, "broker.listen")
        self._directory.take()
        listener: socket.socket | None = None
        try:
            listener = bind(self._settings.listen, "broker.listen")
            host, port = listener.getsockname()[:2]
            self.address = Address(host=host, port=port)
            self._engine = self._open()
            self._server = await asyncio.get_running_loop().create_server(
                self._protocol, sock=listener
            )
        except BaseException:
            if listener is not None:
                listener.close()
            if self._engine is not None:
                await self._engine.stop()
            self._directory.release()
            raise
        self._measure()

    async def stop(self) -> None:
        """Answer what was taken, close all connections and the storage."""
        if self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_task(self._stop())
        await self._stopping

    async def _stop(self) -> None:
        server, self._server = self._server, None
        if server is None or self._engine is None:
            return
        server.close()
        if self._timer is not None:
            self._timer.cancel()
        if self._connections and not self.failed.is_set():
            settled = [
                asyncio.create_task(connection.settled())
                for connection in self._connections.values()
            ]
            _, late = await asyncio.wait(settled, timeout=_GRACE)
            for task in late:
                task.cancel()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*list(self._connections), return_exceptions=True)
        await self._engine.stop()
        self._directory.release()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _open(self) -> Engine:
        engine = Engine(
            settings=self._settings,
            telemetry=self._telemetry,
            faults=self.faults,
            address=self._settings.advertise or self.address,
            path=self._directory.database,
            failed=self._fail,
            groups=Groups(self._clock),
        )
        try:
            engine.start()
        except sqlite3.Error as error:
            raise StorageUnusable(
                f"the database cannot be read: {error}",
                where=str(self._directory.database),
                remedy="restore it from a copy",
            ) from error
        return engine

    def _protocol(self) -> asyncio.BaseProtocol:
        return ClientProtocol(asyncio.StreamReader(_READ_AHEAD), self._accept)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._engine is None or self._server is None:
            writer.transport.abort()
            return
        if len(self._connections) >= self._settings.max_connections:
            log.warning("closing a connection: there are %s already", len(self._connections))
            writer.transport.abort()
            return
        connection = Connection(self._engine, reader, writer)
        task = connection.start()
        self._connections[task] = connection
        self._telemetry.connections.inc()
        task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        del self._connections[task]
        self._telemetry.connections.dec()

    def _measure(self) -> None:
        if self._engine is not None:
            self._engine.measure()
        self._timer = asyncio.get_running_loop().call_later(_MEASURE_EVERY, self._measure)

    def _fail(self, error: Exception) -> None:
        """Stop at once: after a failed sync nobody knows what the disk holds."""
        log.critical("storage failed, the broker stops: %s", error)
        self.failed.set()
        if self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_task(self._stop())
