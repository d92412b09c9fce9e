"""The broker's life: the folder, the listener, the connections."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType

from bus.acceptor import HANDSHAKES, Acceptor
from bus.broker.connection import ClientProtocol, Connection
from bus.broker.descriptors import ELSEWHERE, room_for
from bus.broker.directory import Directory
from bus.broker.engine import Engine
from bus.broker.faults import Faults
from bus.broker.groups.shell import Groups
from bus.broker.security.credentials import Credential, Mechanism, of_password
from bus.broker.security.security import lacking
from bus.broker.security.users import Key
from bus.broker.storage.database import UNREADABLE
from bus.broker.storage.store import Store
from bus.errors import InvalidSettings, StorageUnusable
from bus.listen import bind, refuse_open
from bus.settings import Address, BrokerSettings
from bus.startable import Startable
from bus.telemetry import Telemetry
from bus.tls import Certificate, certified

_MEASURE_EVERY = 1.0  # seconds
_GRACE = 2.0  # seconds for answering what was taken, when stopping
_SEND_AHEAD = 2**19  # bytes that the system takes of an answer before the client does
_READ_AHEAD = 2**18  # bytes buffered of a connection beyond the frame at hand

log = logging.getLogger(__name__)


class Broker(Startable):
    """A single-node broker that speaks the Kafka protocol and keeps everything in SQLite.

    Args:
        settings: where to listen, and limits.
        data: the folder for the database; it is made if there is none.
        telemetry: where requests are counted.
        clock: seconds that only go forward, for consumer groups.
        users: passwords of users that are made, or given this password, before it listens.
        elsewhere: files that other listeners of the process may have open.

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
        users: Mapping[str, str] = MappingProxyType({}),
        elsewhere: int = ELSEWHERE,
    ) -> None:
        self.faults = Faults()
        self.address = settings.listen
        self.failed = asyncio.Event()
        self._settings, self._telemetry, self._clock = settings, telemetry, clock
        self._users, self._elsewhere = dict(users), elsewhere
        self._directory = Directory(data)
        self._engine: Engine | None = None
        self._acceptor: Acceptor | None = None
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._room = settings.max_connections
        self._timer: asyncio.TimerHandle | None = None
        self._stopping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the storage and listen.

        Raises:
            InvalidSettings: others could reach the address without TLS or login; a certificate or
                its key cannot be used; the store has users or rules, and nobody would be asked.
            AddressInUse: the address is taken.
            StorageInUse: another process uses the folder.
            StorageUnusable: the folder cannot be written to, or holds something else.
        """
        settings = self._settings
        refuse_open(
            settings.listen,
            "broker.listen",
            lacking=lacking(settings),
            insecure=settings.insecure,
        )
        certificate = certified(settings, "broker", self._renewed)
        handshakes = HANDSHAKES if certificate is not None else 0
        self._room = room_for(
            settings.max_connections, handshakes=handshakes, elsewhere=self._elsewhere
        )
        self._directory.take()
        listener: socket.socket | None = None
        try:
            listener = bind(self._settings.listen, "broker.listen")
            host, port = listener.getsockname()[:2]
            self.address = Address(host=host, port=port)
            self._engine = self._open()
            self._require_guarded(self._engine)
            await self._enrol(self._engine)
            self._acceptor = self._accepting(listener, self._engine, certificate)
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
        acceptor, self._acceptor = self._acceptor, None
        if acceptor is None or self._engine is None:
            return
        acceptor.close()
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

    def _open(self) -> Engine:
        engine = Engine(
            settings=self._settings,
            telemetry=self._telemetry,
            faults=self.faults,
            address=self._settings.advertise or self.address,
            path=self._directory.database,
            failed=self._fail,
            groups=Groups(self._clock, self._settings.group_memory_bytes),
        )
        try:
            engine.start()
        except UNREADABLE as error:
            raise StorageUnusable(
                f"the database cannot be read: {error}",
                where=str(self._directory.database),
                remedy="restore it from a copy",
            ) from error
        return engine

    def _require_guarded(self, engine: Engine) -> None:
        """Refuse to open to everybody what was opened to some, because settings were lost.

        Raises:
            InvalidSettings: the store has users or rules, and the listener has no TLS.
        """
        security = engine.security
        if security.enforced or self._settings.insecure:
            return
        users, rules = len(list(security.users)), len(security.rules)
        if users or rules:
            raise InvalidSettings(
                f"the store has {users} users and {rules} rules, and nobody would be asked who "
                "they are",
                where="broker.certificate_file",
                remedy="bring back the folder `security` or the settings that were there, or let "
                "`stadtbus serve --init-security` make it anew; --insecure lets everybody do all",
            )

    async def _enrol(self, engine: Engine) -> None:
        """Make the users that there have to be, and give them their passwords."""
        users = engine.security.users
        offered = {one.text: one for one in Mechanism}
        kinds = [offered[one] for one in self._settings.sasl_mechanisms if one in offered]
        for name, password in self._users.items():
            made: dict[Key, Credential] = {}
            for kind in kinds or [Mechanism.SCRAM_SHA_512]:
                known = users.claimed(name, kind)
                if not await asyncio.to_thread(known.proves, password):
                    made[name, kind] = await asyncio.to_thread(of_password, kind, password)
            if made:
                await engine.change(partial(_write_users, made))
                users.change(made, ())

    def _accepting(
        self, listener: socket.socket, engine: Engine, certificate: Certificate | None
    ) -> Acceptor:
        return Acceptor(
            listener,
            self._protocol,
            self._settings,
            context=certificate.context if certificate else None,
            name="broker",
            telemetry=self._telemetry,
            notes=engine.security.audit.notes,
            most=lambda: self._room,
        )

    def _renewed(self, usable: bool) -> None:
        """Count a look at a certificate that has changed."""
        outcome = "ok" if usable else "error"
        self._telemetry.certificate_reloads.labels("broker", outcome).inc()

    def _protocol(self) -> ClientProtocol:
        return ClientProtocol(asyncio.StreamReader(_READ_AHEAD), self._accept)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._engine is None or self._acceptor is None:
            writer.transport.abort()
            return
        connection = Connection(self._engine, reader, writer)
        if (sock := writer.get_extra_info("socket")) is not None:
            with suppress(OSError):  # it has gone already
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_AHEAD)
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
            for connection in self._connections.values():
                if reason := connection.overdue():
                    self._telemetry.connections_given_up.labels(reason).inc()
            self._engine.security.audit.flush()
        self._timer = asyncio.get_running_loop().call_later(_MEASURE_EVERY, self._measure)

    def _fail(self, error: Exception) -> None:
        """Stop at once: after a failed sync nobody knows what the disk holds."""
        log.critical("storage failed, the broker stops: %s", error)
        self.failed.set()
        if self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_task(self._stop())


def _write_users(made: Mapping[Key, Credential], store: Store) -> None:
    store.users.write(made, ())
