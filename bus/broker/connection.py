"""One client's connection: frames in, answers out in the order of the requests.

Produce requests overlap, so that those that a client pipelines share a commit; every other API
waits until what came before it is answered, as in Kafka.
"""

import asyncio
import logging
import struct
import time
from collections.abc import Sequence
from functools import partial

from kio.schema.errors import ErrorCode
from prometheus_client import Counter, Histogram

from bus.acceptor import Served
from bus.broker.answers import encoded
from bus.broker.api.produce import produce
from bus.broker.api.sasl import converse
from bus.broker.apis import APIS, versions_answer
from bus.broker.engine import Engine
from bus.broker.faults import AnyFault, Delay, Fault
from bus.broker.keys import ApiKey
from bus.broker.limits import Lane, Patience
from bus.broker.outlet import Outlet
from bus.broker.pipeline import Pipeline, Place
from bus.broker.produced import TopicAnswer, failed, write
from bus.broker.quota import FETCH, PRODUCE, REQUESTS
from bus.broker.requests import read
from bus.broker.rights import guarded, withheld
from bus.broker.security.access import Access
from bus.broker.security.session import MOST_LOGIN_BYTES, NotNow, Session
from bus.broker.wire import (
    PREFIX,
    MalformedRequest,
    Request,
    write_answer,
)
from bus.principals import Unmapped

_SMALL = 2**16  # bytes of a request that never waits for memory: heartbeats must come through
_ITEMS = 20_000  # of a request's arrays, beside two for each partition that there is
_PART = 2**20  # bytes of a request, of which some have to come before a client is given up
_TURN_BYTES = 2**14  # of a request that count as one request more
_TURN = 8  # requests handled before others get their turn

# Requests that may wait for long and change nothing durable, so that they can be given up.
_WAITING = {ApiKey.FETCH, ApiKey.JOIN_GROUP, ApiKey.SYNC_GROUP}

log = logging.getLogger(__name__)


class ClientProtocol(asyncio.StreamReaderProtocol, Served):
    """A stream that tells its connection when the client has gone."""

    connection: "Connection | None" = None

    def eof_received(self) -> bool:
        """Close at the end of what the client sends, as Kafka does: nobody reads the answers."""
        super().eof_received()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that the client has gone."""
        super().connection_lost(exc)
        if self.connection is not None:
            self.connection.lost()
        self.over()


class _Hangup(Exception):
    """The connection has to be closed; the message says why."""


class Connection:
    """Serves one client.

    Args:
        engine: what the requests work on.
        reader: where frames come from.
        writer: where answers go.

    Attributes:
        host: the client's address; empty if it has gone already.
    """

    def __init__(
        self, engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._engine, self._reader, self._writer = engine, reader, writer
        peer = writer.get_extra_info("peername")
        self.host = str(peer[0]) if peer else ""
        self._stopping = False
        self._counted: dict[tuple[ApiKey, bool], tuple[Counter, Histogram]] = {}
        self._serving: ApiKey | None = None
        self._session: Session | None = None
        self._access: Access | None = None
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        settings, self._limits = engine.settings, engine.limits
        self._lane, self._lane_of = self._limits.lane(None), ""
        self._pipeline = Pipeline(writer, self._limits.requests)
        self._outlet = Outlet(writer, engine.limits, settings.fetch_max_bytes)
        self._patience = Patience(settings.idle_seconds, settings.stalled_seconds, self._now())
        self._size = 0  # of the last request, in bytes
        self._held = 0  # of the memory for requests, by the one at hand
        self._silent_until = 0.0

    def start(self) -> asyncio.Task[None]:
        """Answer requests until the client goes or has to go."""
        # A task of our own: the one that a stream server makes logs its cancellation as an error.
        self._task = self._loop.create_task(self._serve())
        protocol = self._writer.transport.get_protocol()
        if isinstance(protocol, ClientProtocol):
            protocol.connection = self
        return self._task

    def lost(self) -> None:
        """Give up a request that only waits, because nobody is there to be answered."""
        if self._task is not None and self._serving in _WAITING:
            self._task.cancel()

    async def _serve(self) -> None:
        turn = 0
        try:
            if self._engine.security.enforced:
                self._meet()
            while not self._stopping:
                if self._silent_until:
                    await self._be_silent()
                await self._serve_one()
                turn += 1 + self._size // _TURN_BYTES
                if turn >= _TURN:
                    turn = 0
                    await asyncio.sleep(0)
            await self._pipeline.settled()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        except (_Hangup, NotNow, Unmapped, MalformedRequest) as reason:
            self._say(reason)
        except Exception:
            # The edge that has to survive anything: one request must not end the others' service.
            log.exception("closing a connection from %s: unexpected", self.host)
        finally:
            self._limits.requests.give(self._held)
            self._writer.transport.abort() if self._pipeline.busy else self._writer.close()

    def _say(self, reason: Exception) -> None:
        """Note why the connection is closed; of strangers, no more than a minute bears."""
        session = self._session
        if isinstance(reason, Unmapped) or (session is not None and session.ended):
            return  # the audit log has it
        if session is not None and not session.open:
            self._engine.security.audit.sent_away(self.host, str(reason))
            return
        level = logging.WARNING if isinstance(reason, MalformedRequest) else logging.INFO
        log.log(level, "closing a connection from %s: %s", self.host, reason)

    def overdue(self) -> str:
        """Return why the client has to go, which is then cut off; empty if it may stay."""
        self._outlet.settle()
        reason = self._patience.over(
            self._now(),
            self._outlet.unsent(),
            busy=self._pipeline.busy or self._serving is not None or self._silent_until > 0,
        )
        if reason:
            log.info("closing a connection from %s: %s", self.host, reason)
            self._writer.transport.abort()
        return reason

    def _now(self) -> float:
        return self._loop.time()

    async def settled(self) -> None:
        """Take no more requests, and wait until those that were taken are answered."""
        self._stopping = True
        await self._pipeline.settled()

    def _meet(self) -> None:
        """Begin with nobody, or with who a certificate says is there.

        Raises:
            Unmapped: the certificate's owner is nobody to the rules.
        """
        tls = self._writer.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        self._session = self._engine.security.session(certificate, self.host)

    async def _serve_one(self) -> None:
        session = self._session
        (size,) = struct.unpack(">i", await self._reader.readexactly(4))
        fewest, most = PREFIX.size, self._engine.settings.max_frame_bytes
        if session is not None and not session.open:
            fewest, most = 0 if session.bare else fewest, MOST_LOGIN_BYTES
        if not fewest <= size <= most:
            raise _Hangup(f"a frame of {size} bytes")
        frame = await self._frame(size, stranger=session is not None and not session.open)
        if self._stopping:
            return
        if session is not None and session.bare:
            await self._converse(session, frame)
            return
        number, version, correlation = PREFIX.unpack_from(frame)
        started = time.perf_counter()
        try:
            key = ApiKey(number)
        except ValueError:
            raise _Hangup(f"API {number} is not served") from None
        api = APIS[key]
        if not api.lowest <= version <= api.highest:
            await self._refuse_version(key, version, correlation)
            return
        if session is not None:
            session.admit(key)
        most = _ITEMS + 2 * self._engine.topics.partition_count()
        request = await read(frame, key, version, correlation, most)
        request.client_host = self.host
        if session is not None:
            request.session, request.principal = session, session.principal
        try:
            await self._answer(request, size, started)
        finally:
            self._outlet.close(request)
            self._limits.requests.give(self._held)
            self._held = 0

    async def _frame(self, size: int, *, stranger: bool) -> bytes:
        """Read a request, once there is memory for it; strangers take none that others wait for."""
        self._limits.requests.give(self._held)  # of one that was not answered in order
        self._held, self._size = 0, size
        if stranger:
            return await self._whole(size)
        if size <= _SMALL:
            self._limits.requests.give(-size)
            self._held = size
            return await self._whole(size)
        reading = self._own_lane().reading
        await reading.take(size)
        try:
            await self._limits.requests.take(size)
            self._held = size
            return await self._whole(size)
        finally:
            reading.give(size)

    async def _whole(self, size: int) -> bytes:
        """Read a request in parts, of which each has to come in time."""
        self._patience.expect(size, self._now())
        parts = [await self._reader.readexactly(min(size, _PART))]
        while (size := size - _PART) > 0:
            self._patience.came(self._now())
            parts.append(await self._reader.readexactly(min(size, _PART)))
        self._patience.arrived(self._now())
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _refuse_version(self, key: ApiKey, version: int, correlation: int) -> None:
        if key is not ApiKey.API_VERSIONS:
            raise _Hangup(f"version {version} of {key.name} is not served")
        # KIP-511: in version 0, which every client can read, with the table to choose from.
        await self._pipeline.settled()
        refusal = versions_answer(ErrorCode.unsupported_version)
        await self._send(write_answer(key, 0, correlation, refusal))

    async def _answer(self, request: Request, size: int, started: float) -> None:
        fault = self._engine.faults.take(request.key)
        if fault is Fault.DROP_CONNECTION_BEFORE:
            raise _Hangup("arranged")
        if isinstance(fault, Delay):
            await fault.until.wait()
        if request.key is ApiKey.PRODUCE:
            await self._produce(request, fault, size, started)
            return
        await self._pipeline.settled()
        self._serving = request.key
        request.room, request.lane = self._outlet.pace.room, self._own_lane()
        access, handle = self._rights(), APIS[request.key].handle
        if access is None:
            fields = await handle(self._engine, request)
        else:
            fields = await guarded(self._engine, request, handle, access)
        self._serving = None
        if silence := self._throttled(request, size):
            fields = {**fields, "throttle_time": silence}
        answer, refused = await encoded(request.key, request.version, request.correlation, fields)
        self._count(request, started, refused)
        if fault is Fault.DROP_CONNECTION_AFTER_COMMIT:
            raise _Hangup("arranged")
        # What the answer is made of is let go before it is sent, which may take long.
        made = [answer]
        del fields, answer
        await self._outlet.send(made.pop(), request)
        if self._session is not None and self._session.ended:
            raise _Hangup("the login was refused")

    def _throttled(self, request: Request, size: int) -> int:
        """Return for how many milliseconds the client is to be silent; it is not listened to."""
        quotas, session = self._limits.quotas, self._session
        if not quotas.rates or (session is not None and not session.open):
            return 0
        longest, now = 0.0, self._now()
        spent = [(REQUESTS, 1)]
        if request.key is ApiKey.PRODUCE:
            spent.append((PRODUCE, size))
        elif request.held:
            spent.append((FETCH, request.held))
        for kind, units in spent:
            silence = quotas.spend(request.principal, kind, units, now)
            if silence:
                self._engine.telemetry.throttled.labels(kind).inc()
                longest = max(longest, silence)
        if longest:
            self._silent_until = max(self._silent_until, now + longest)
        return round(longest * 1000)

    async def _be_silent(self) -> None:
        await asyncio.sleep(self._silent_until - self._now())
        self._silent_until = 0.0

    async def _converse(self, session: Session, token: bytes) -> None:
        """Take a message of a mechanism that comes without a header, as SaslHandshake 0 has it."""
        outcome = await converse(self._engine, session, token, self.host)
        if session.ended:
            raise _Hangup("the login was refused")
        await self._send(struct.pack(">i", len(outcome.token)) + outcome.token)

    def _rights(self) -> Access | None:
        """Return what may be done on this connection now; None if everything may."""
        session, access = self._session, self._access
        if session is not None and (access is None or access.principal != session.principal):
            access = self._access = self._engine.security.access(session.principal, self.host)
        return access

    async def _produce(
        self, request: Request, fault: AnyFault | None, size: int, started: float
    ) -> None:
        lane = self._own_lane()
        if not lane.try_take(size):
            await lane.take(size)
        request.lane = lane
        place = Place(size, started, lane, self._throttled(request, size))
        self._held = 0  # the place's from now on
        self._pipeline.add(place)
        access = self._rights()
        kept_back = () if access is None else withheld(request, access)
        done = partial(self._produced, request, request.body.acks, fault, place, kept_back)
        try:
            await produce(self._engine, request, fault, done)
            request.body = None  # its batches are held by who writes them, as long as need be
        except BaseException:
            self._pipeline.remove(place)
            raise
        await self._writer.drain()

    def _own_lane(self) -> Lane:
        """Return the lane of who asks: one of all connections of a user that has logged in."""
        session = self._session
        if session is not None and self._lane_of != session.principal:
            self._lane, self._lane_of = self._limits.lane(session.principal), session.principal
        return self._lane

    def _produced(
        self,
        request: Request,
        acks: int,
        fault: AnyFault | None,
        place: Place,
        kept_back: Sequence[TopicAnswer],
        topics: list[TopicAnswer],
    ) -> None:
        topics += kept_back
        refused = failed(topics)
        self._count(request, place.started, refused)
        answer = None
        if fault is Fault.DROP_CONNECTION_AFTER_COMMIT:
            self._writer.transport.abort()
        elif acks != 0:
            answer = write(request.version, request.correlation, topics, place.throttle_ms)
        elif refused:
            # Who asked for no answer learns of a failure by losing the connection, as from Kafka.
            self._writer.transport.abort()
        self._pipeline.answer(place, answer)

    async def _send(self, answer: bytes) -> None:
        self._writer.write(answer)
        await self._writer.drain()

    def _count(self, request: Request, started: float, refused: bool) -> None:
        outcome, telemetry = "error" if refused else "ok", self._engine.telemetry
        if request.own:
            telemetry.own_requests.labels(request.key.name.lower(), outcome).inc()
            return
        kept = self._counted.get((request.key, refused))
        if kept is None:
            name = request.key.name.lower()
            kept = (
                telemetry.requests.labels(name, outcome),
                telemetry.request_duration.labels(name),
            )
            self._counted[request.key, refused] = kept
        kept[0].inc()
        kept[1].observe(max(0.0, time.perf_counter() - started - request.waited))
