"""The subscriber: what an agency's system uses to receive events."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection

from bus.errors import BusError, BusUnavailable, Conflict, InvalidSettings, NotAuthorised
from bus.event import Event, member_of
from bus.kafka import Fetched, GroupConsumer, LogReader, Place
from bus.schemas import SchemaClient
from bus.settings import Settings, load
from bus.subscriber.dead import DeadLetters
from bus.subscriber.decoding import Decoder, Redrive
from bus.subscriber.inbox import Inbox
from bus.subscriber.promise import is_promise, metadata
from bus.subscriber.retry import RetryPolicy
from bus.subscriber.sources import decoder_for
from bus.subscriber.worker import CHUNK, Apply, Worker

log = logging.getLogger(__name__)

COMMIT_INTERVAL = 1.0
"""Seconds between two commits of positions; what came after the last one is handled again."""

POLL = 0.2
"""Seconds that the engine is waited for at a time."""

SHORT_POLL = 0.02
"""As `POLL`, while a partition has more in memory than it needs."""

BACKLOG = 4 * CHUNK
"""Records of a partition in memory above which no more are taken."""

GRACE = 20.0
"""Seconds that a handler has to finish when its partition is given away."""

Handle = Callable[[Event], Awaitable[None]] | Callable[[Event, Connection], None]
HandleMany = (
    Callable[[Sequence[Event]], Awaitable[None]] | Callable[[Sequence[Event], Connection], None]
)


class Subscriber:
    """Receives events of contracts as a member of a group.

    Each partition is handled in order and by itself; a partition whose handler fails does not hold
    up others. A group that is new begins with the oldest event that there is.

    Args:
        group: who subscribes and for what: begins with the member's id and a dot, such as
            ``de.agency.statistik.count-report``.
        topics: the contracts' topics.
        settings: where engine and registry are; as `bus.settings.load` finds them if None.
        inbox: the subscriber's own database, where each event takes effect once.
        retry: how patient to be with the handler.
        versions: the schema's version to read as, by topic; as it was written where none is given.
        promise: how far behind it will be at the most, in seconds. It stands beside its positions,
            where whoever watches over the bus reads it, and is told once it is broken.

    Raises:
        InvalidSettings: the group's name does not begin with a member's id, there is no topic, or
            the promise is no time.
    """

    def __init__(
        self,
        group: str,
        topics: Sequence[str],
        settings: Settings | None = None,
        *,
        inbox: Inbox | None = None,
        retry: RetryPolicy | None = None,
        versions: Mapping[str, int] | None = None,
        promise: float | None = None,
    ) -> None:
        member = member_of(group)
        if member is None or not topics:
            raise InvalidSettings(
                "a group is named after its member, such as de.agency.statistik.count-report, "
                "and reads at least one topic",
                where=f'group "{group}"',
            )
        if promise is not None and not is_promise(promise):
            raise InvalidSettings(
                f"{promise} is no number of seconds that a subscriber can promise",
                where=f'group "{group}"',
                remedy="promise=30.0 is half a minute; None promises nothing",
            )
        self._beside = metadata(promise)
        self._member, self._group = member, group
        self._topics = tuple(dict.fromkeys(topics))
        self._settings = settings or load()
        self._inbox, self._retry = inbox, retry or RetryPolicy()
        self._versions = dict(versions or {})
        self._registry = SchemaClient.of(self._settings, self._settings.cache)
        self._dead = DeadLetters(self._settings.kafka, member, group)
        self._decoders: dict[str, Decoder | Redrive] = {}
        self._companions: dict[str, str] = {}
        self._workers: dict[Place, Worker] = {}
        self._consumer: GroupConsumer | None = None
        self._largest = 1
        self._handle: Callable[..., Any] = _unset
        self._stopping = asyncio.Event()
        self._polling: asyncio.Task[Mapping[Place, Sequence[Fetched]]] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next_commit = 0.0

    async def start(self) -> None:
        """Read the contracts, and make the topics for dead letters and what comes once more.

        Raises:
            NotFound: there is no contract for a topic.
            NotAuthorised: the engine says no, or a contract is restricted and nothing of it was
                ever granted.
            BusUnavailable: registry or engine cannot be reached.
        """
        partitions = {}
        decoders = {}
        for topic in self._topics:
            contract = await self._registry.contract(topic)
            version = self._versions.get(topic)
            decoder = decoder_for(self._member, contract, self._registry, version)
            if decoder.source != topic:
                await self._require_feed(decoder.source)
            decoders[decoder.source] = decoder
            partitions[decoder.source] = contract.partitions
        await self._dead.prepare(partitions)
        again = await self._dead.prepare_redriving(partitions)
        self._companions = dict(zip(again, partitions, strict=True))
        redriven = [decoder.redriven_for(self._group) for decoder in decoders.values()]
        self._decoders = {**decoders, **dict(zip(again, redriven, strict=True))}
        if self._inbox is not None:
            await self._inbox.open()

    async def _require_feed(self, feed: str) -> None:
        async with LogReader(self._settings.kafka, client_id=self._group) as reader:
            if not await reader.exists(feed):
                raise NotAuthorised(
                    "the contract is restricted, and there is no feed for this subscriber",
                    where=feed,
                    remedy="ask its owner for a grant (`stadtbus grant ask`)",
                )

    async def close(self) -> None:
        """Close the connections; the inbox is its owner's to close."""
        await self._dead.stop()
        await self._registry.close()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def stop(self) -> None:
        """Hand over nothing more; `run` finishes what handlers have in hand, commits and returns.

        A handler may call it, also one with an inbox, which runs in another thread.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # another thread, or nothing runs yet
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._halt)
                return
        self._halt()

    def _halt(self) -> None:
        self._stopping.set()
        if self._polling is not None:
            self._polling.cancel()
        for worker in self._workers.values():
            worker.halt()

    async def run(self, handle: Handle) -> None:
        """Hand over one event after the other until `stop` is called.

        Args:
            handle: a coroutine function of the event; with an inbox, a plain function of the event
                and the connection whose transaction it belongs to, called in another thread. It
                raises `BadEvent` to have the event set aside; anything else that it raises counts
                as the subscriber's own trouble, and the event is tried again.

        Raises:
            PositionLost: events were removed before they were read.
            NotAuthorised: a topic or the group may not be read.
            BusUnavailable: no broker answers at the start; later it is waited for.
        """
        await self._run(handle, 1)

    async def run_batches(self, handle: HandleMany) -> None:
        """Hand over events in batches, each of one partition and in order, until `stop` is called.

        A batch that fails is tried again as a whole. Where the handler raises `BadEvent`, the
        events of the batch are handed over one by one, and those that it refuses are set aside.

        Args:
            handle: as for `run`, but of a sequence of events.

        Raises:
            PositionLost, NotAuthorised, BusUnavailable: as for `run`.
        """
        await self._run(handle, CHUNK)

    async def _run(self, handle: Callable[..., Any], largest: int) -> None:
        if inspect.iscoroutinefunction(handle) == (self._inbox is not None):
            raise InvalidSettings(
                "a handler is a plain function with an inbox, and a coroutine function without",
                where=f"group {self._group}",
            )
        self._handle, self._largest = handle, largest
        self._loop = asyncio.get_running_loop()
        self._consumer = consumer = GroupConsumer(
            self._settings.kafka,
            self._group,
            tuple(self._decoders),
            self,
            client_id=self._group,
            companions=self._companions,
        )
        await consumer.start()
        try:
            while not self._stopping.is_set():
                await self._turn(consumer)
        finally:
            # Only a call of `stop` leaves handlers their time; an error or a cancellation does not.
            grace = GRACE if self._stopping.is_set() else 0.0
            try:
                await self._release(frozenset(self._workers), grace)
            finally:  # a member that only seems to have left would keep its partitions for ever
                await consumer.stop()
                self._loop = None

    async def _turn(self, consumer: GroupConsumer) -> None:
        full = {place for place, worker in self._workers.items() if worker.waiting > BACKLOG}
        try:
            found = await self._poll(consumer, SHORT_POLL if full else POLL, full)
        except BusUnavailable as error:
            log.warning("group %s: %s", self._group, error)
            await asyncio.sleep(POLL)
            found = {}
        for place, records in found.items():
            if place in self._workers:
                self._workers[place].put(records)
        for worker in self._workers.values():
            worker.check()
        clock = asyncio.get_running_loop().time()
        if clock >= self._next_commit:
            self._next_commit = clock + COMMIT_INTERVAL
            await self._commit(self._workers)

    async def _poll(
        self, consumer: GroupConsumer, wait: float, without: Collection[Place]
    ) -> Mapping[Place, Sequence[Fetched]]:
        """Poll, but let go of it at once when `stop` is called."""
        self._polling = polling = asyncio.create_task(consumer.poll(wait, without))
        try:
            await asyncio.wait([polling])  # raises only what happens to the caller
            return {} if polling.cancelled() else polling.result()
        finally:
            polling.cancel()

    async def positions(self, places: frozenset[Place]) -> Mapping[Place, int]:
        """Return where each partition is read from; the inbox wins over the group's position."""
        kept = await self._inbox.positions(self._group, places) if self._inbox else {}
        return {
            place: kept[place] if place in kept else await self._first(place) for place in places
        }

    def begin(self, place: Place, position: int) -> None:
        """Begin to handle a partition."""
        worker = self._workers[place] = Worker(
            place,
            position,
            decoder=self._decoders[place[0]],
            apply=self._apply_to(place),
            relocate=self._position_of(place),
            policy=self._retry,
            dead=self._dead,
            largest=self._largest,
        )
        if self._stopping.is_set():
            worker.halt()

    async def _first(self, place: Place) -> int:
        """Return where a partition is read from that the inbox does not know."""
        consumer = self._consumer
        if consumer is None:
            raise BusUnavailable("the subscriber does not run", where=self._group)
        position = await consumer.committed(place)
        if position is None:
            position = await consumer.earliest(place)
        if self._inbox is not None:
            await self._inbox.begin(self._group, place, position)
            position = (await self._inbox.positions(self._group, [place]))[place]
        return position

    async def revoked(self, places: frozenset[Place]) -> None:
        """Finish the events at hand and commit, before another member takes over."""
        await self._release(places, GRACE)

    async def _release(self, places: frozenset[Place], grace: float) -> None:
        workers = {place: self._workers[place] for place in places if place in self._workers}
        await asyncio.gather(*(worker.finish(grace) for worker in workers.values()))
        await self._commit(workers)
        for place in workers:
            self._workers.pop(place, None)

    async def _commit(self, workers: Mapping[Place, Worker]) -> None:
        # Taken out now: a rebalance may take workers away while the engine is asked.
        moving = {p: worker for p, worker in workers.items() if worker.position != worker.committed}
        moved = {place: worker.position for place, worker in moving.items()}
        if not moved or self._consumer is None:
            return
        try:
            await self._consumer.commit(moved, self._beside)
        except (BusUnavailable, Conflict) as error:
            # What is not committed is handled again by whoever has the partition next.
            log.warning("group %s: positions are not committed: %s", self._group, error)
            return
        for place, position in moved.items():
            moving[place].committed = position

    def _apply_to(self, place: Place) -> Apply:
        inbox, handle, single = self._inbox, self._handle, self._largest == 1

        async def direct(events: Sequence[Event], before: int, after: int) -> None:
            if events:
                await handle(events[0] if single else events)

        async def with_inbox(events: Sequence[Event], before: int, after: int) -> None:
            def work(connection: Connection) -> None:
                if events:
                    handle(events[0] if single else events, connection)

            if inbox is not None:
                await inbox.apply(self._group, place, before, after, work)

        return direct if inbox is None else with_inbox

    def _position_of(self, place: Place) -> Callable[[], Awaitable[int]]:
        async def position() -> int:
            if self._inbox is None:
                raise BusError("there is no inbox", where=self._group)
            return (await self._inbox.positions(self._group, [place])).get(place, -1)

        return position


async def _unset(*_: Any) -> None:
    raise BusError("the subscriber does not run")
