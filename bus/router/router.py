"""The router as a role: it follows the contracts in force, and shares partitions with its like."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from bus.admin import Admin
from bus.contracts import Contract
from bus.errors import BusError, BusUnavailable, PositionLost, UndecodableEvent
from bus.event import read_envelope
from bus.kafka import Fetched, GroupConsumer, LogReader, Place, Transactor
from bus.letters import LARGEST_LETTER
from bus.router.feeds import feed_spec, open_feed, refused_spec
from bus.router.lane import GROUP, Lane, Portion
from bus.router.routing import Route
from bus.schemas import SchemaClient
from bus.settings import Settings
from bus.startable import Startable
from bus.subscriber.decoding import Decoder
from bus.subscriber.window import Window
from bus.telemetry import Telemetry

log = logging.getLogger(__name__)

LOOKING = 2.0
"""Seconds between two looks at which contracts are in force."""

POLL = 0.2
"""Seconds that one look for records may take."""

BACKLOG = 5000
"""Records that wait in a lane until no more of them are fetched."""

GRACE = 5.0
"""Seconds that a transaction under way gets when its partition is taken away."""

PAUSE = 1.0
"""Seconds after which the router begins anew where it could not go on."""

TRANSACTION = 5.0
"""Seconds after which the engine takes back what a router began that hangs."""

REMEMBERED = 2000
"""Records before the position in which repeats are found after a start."""


class Router(Startable):
    """Routes the events of all open contracts to their feeds.

    Any number of routers share the partitions.

    Args:
        settings: how to reach bus and registry.
        telemetry: counts what is passed on, refused and repeated.
    """

    def __init__(self, settings: Settings, telemetry: Telemetry) -> None:
        self._settings, self._telemetry = settings, telemetry
        self._registry = SchemaClient.of(settings, settings.cache)
        self._running = AsyncExitStack()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._routes: dict[str, tuple[Route, Decoder]] = {}
        self._opened: dict[Place, tuple[Transactor, Window]] = {}
        self._lanes: dict[Place, Lane] = {}
        self._consumer: GroupConsumer | None = None

    async def start(self) -> None:
        """Connect, make the feeds of all contracts in force, and begin.

        Raises:
            BusUnavailable: bus or registry cannot be reached.
            NotAuthorised, NotAuthenticated: the engine says no.
        """
        try:
            self._reader = await self._running.enter_async_context(
                LogReader(self._settings.kafka, client_id=GROUP)
            )
            contracts = await self._contracts()
            await self._prepare(contracts)
        except BaseException:
            await self.stop()
            raise
        self._task = asyncio.create_task(self._run(contracts))

    async def stop(self) -> None:
        """End the transactions at hand, give the partitions away and close the connections."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait([self._task])
        await self._running.aclose()
        await self._registry.close()

    async def _contracts(self) -> dict[str, Contract]:
        """Return the open contracts in force, by topic."""
        topics = await self._registry.contracts()
        found = [await self._registry.contract(topic) for topic in topics]
        return {one.topic: one for one in found if one.access == "open"}

    async def _prepare(self, contracts: Mapping[str, Contract]) -> None:
        """Make feeds and topics of dead letters, and find out how records are routed."""
        async with Admin(self._settings.kafka) as admin:
            for topic, contract in contracts.items():
                feed = open_feed(topic)
                await admin.ensure_topic(feed_spec(contract, feed))
                await admin.ensure_topic(refused_spec(contract))
                decoder = Decoder(contract, self._registry)
                route = Route(contract, decoder, await admin.topic_id(topic), feed)
                self._routes[topic] = (route, decoder)

    async def _run(self, contracts: Mapping[str, Contract]) -> None:
        """Route until told to stop, whatever happens to bus and registry."""
        while not self._stopping.is_set():
            try:
                await self._route(contracts)
                contracts = await self._contracts()
                await self._prepare(contracts)
            except BusError as error:
                log.error("the router cannot go on, and begins anew: %s", error)
                await self._wait(PAUSE)

    async def _route(self, contracts: Mapping[str, Contract]) -> None:
        """Route the events of these contracts until there are others, or until told to stop."""
        if not contracts:
            await self._wait(LOOKING)
            return
        consumer = GroupConsumer(
            self._settings.kafka, GROUP, tuple(contracts), self, client_id=GROUP
        )
        self._consumer = consumer
        await consumer.start()
        clock = asyncio.get_running_loop().time
        try:
            look = clock() + LOOKING
            while not self._stopping.is_set():
                await self._turn(consumer)
                if clock() >= look:
                    look = clock() + LOOKING
                    if await self._others(contracts):
                        return
        finally:
            await self.revoked(frozenset(self._lanes))
            self._consumer = None
            await consumer.stop()

    async def _others(self, contracts: Mapping[str, Contract]) -> bool:
        """Whether contracts have come into force or changed."""
        try:
            return await self._contracts() != contracts
        except BusUnavailable as error:
            log.warning("which contracts are in force cannot be asked: %s", error)
            return False

    async def _turn(self, consumer: GroupConsumer) -> None:
        full = {place for place, lane in self._lanes.items() if lane.waiting > BACKLOG}
        try:
            found = await consumer.poll(POLL, full)
        except BusUnavailable as error:
            log.warning("%s", error)
            await self._wait(POLL)
            found = {}
        self._hand_over(found)
        for lane in self._lanes.values():
            lane.check()

    def _hand_over(self, found: Mapping[Place, Sequence[Fetched]]) -> None:
        for place, records in found.items():
            if place in self._lanes:
                self._lanes[place].put(records)

    async def positions(self, places: frozenset[Place]) -> Mapping[Place, int]:
        """Fence off who had these partitions before, and return where each is read from."""
        await self._close_unused()
        return {place: await self._open(place) for place in sorted(places)}

    async def _open(self, place: Place) -> int:
        writing = Transactor(
            self._settings.kafka,
            f"{GROUP}.{place[0]}.{place[1]}",
            largest_batch=LARGEST_LETTER,
            timeout=TRANSACTION,
        )
        await writing.start()
        try:
            first, _ = (await self._reader.bounds(place[0]))[place[1]]
            position = await self._committed(place)
            if position is not None and position < first:
                log.error(
                    "%s-%d: %d records were deleted before they were routed",
                    *place,
                    first - position,
                )
                self._telemetry.unrouted.labels(place[0]).inc(first - position)
            position = first if position is None else max(first, position)
            window = await self._remembered(place, first, position)
        except BaseException:
            await writing.stop()
            raise
        self._opened[place] = (writing, window)
        return position

    def _sound(self, place: Place, committed: int | None, first: int, end: int) -> int:
        """Return where to go on; what is missed is said aloud, as nobody can get it back."""
        if committed is None:
            return first
        if committed < first:
            missed = first - committed
            log.error("%s-%d: %d records were deleted before they were routed", *place, missed)
            self._telemetry.unrouted.labels(place[0]).inc(missed)
            return first
        if committed > end:
            log.error(
                "%s-%d ends at %d, but was routed to %d before: it was made anew, or restored; "
                "all that it holds is routed",
                *place,
                end,
                committed,
            )
            return first
        return committed

    async def _remembered(self, place: Place, first: int, position: int) -> Window:
        """Return the events before a position, so that repeats of them are known for such."""
        window, at = Window(), max(first, position - REMEMBERED)
        while at < position:
            try:
                records = await self._reader.read(*place, at, max_wait=0)
            except PositionLost:  # deleted just now; so much less is remembered
                break
            if not records:
                break
            for record in records:
                if record.offset < position:
                    _remember(window, record)
            at = records[-1].offset + 1
        return window

    async def _committed(self, place: Place) -> int | None:
        if self._consumer is None:
            raise BusUnavailable("the router does not run", where=GROUP)
        return await self._consumer.committed(place)

    def begin(self, place: Place, position: int) -> None:
        """Begin to route a partition."""
        writing, window = self._opened.pop(place)
        route, decoder = self._routes[place[0]]
        self._lanes[place] = Lane(
            place,
            position,
            route=route,
            decoder=decoder,
            window=window,
            writing=writing,
            committed=self._committed,
            tell=lambda portion: self._tell(place[0], portion),
        )

    async def revoked(self, places: frozenset[Place]) -> None:
        """End the transactions at hand before another router takes over."""
        await self._close_unused()
        lanes = [self._lanes.pop(place) for place in places if place in self._lanes]
        await asyncio.gather(*(lane.finish(GRACE) for lane in lanes))

    async def _close_unused(self) -> None:
        """Close what was opened for partitions that were taken away before they were begun."""
        opened, self._opened = self._opened, {}
        for writing, _ in opened.values():
            await writing.stop()

    def _tell(self, topic: str, portion: Portion) -> None:
        telemetry = self._telemetry
        telemetry.routed.labels(topic).inc(portion.passed)
        telemetry.repeated.labels(topic).inc(portion.repeats)
        for reason, count in portion.refused.items():
            telemetry.refused.labels(topic, reason).inc(count)

    async def _wait(self, seconds: float) -> None:
        waiting = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([waiting], timeout=seconds)
        waiting.cancel()


def _remember(window: Window, record: Fetched) -> None:
    """Remember an event by source and id; what has none was refused."""
    try:
        envelope = read_envelope(record.topic, record.headers)
    except UndecodableEvent:
        return
    window.remember(envelope.source, envelope.id)
