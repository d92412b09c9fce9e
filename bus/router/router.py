"""The router as a role: it follows the contracts in force, and shares partitions with its like."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import UUID

from bus import disclosures
from bus.admin import Admin
from bus.contracts import Contract, member_feed, open_feed
from bus.errors import BusError, BusUnavailable, NotFound, PositionLost, UndecodableEvent
from bus.event import new_id, read_envelope
from bus.kafka import Fetched, GroupConsumer, LogReader, Place, Transactor
from bus.letters import LARGEST_LETTER
from bus.router.admission import Admission
from bus.router.course import Course, OpenCourse, Portion
from bus.router.feeds import feed_spec, refused_spec
from bus.router.identity import Identity
from bus.router.journal import Flowing, JournalFollower
from bus.router.lane import GROUP, Lane
from bus.router.memory import Memory, memory_spec
from bus.router.restricted import RestrictedRoute
from bus.router.restricted_course import RestrictedCourse
from bus.router.routing import Route
from bus.router.versions import LearntVersions
from bus.router.writing import Writing
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


@dataclass(frozen=True, slots=True)
class _Way:
    """What the lanes of a contract share.

    Args:
        contract: the contract in force.
        decoder: checks and decodes its records.
        topic_id: the shared topic's id on the engine.
        versions: on a restricted contract, those that were learnt.
    """

    contract: Contract
    decoder: Decoder
    topic_id: str
    versions: LearntVersions | None = None


class Router(Startable):
    """Routes the events of all contracts to their feeds.

    Any number of routers share the partitions. Restricted contracts are routed only by one that
    has a name for itself in the settings, and while the journal has its key.

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
        self._ways: dict[str, _Way] = {}
        self._feeds: set[str] = set()
        self._opened: dict[Place, tuple[Transactor, Window]] = {}
        self._lanes: dict[Place, Lane] = {}
        self._consumer: GroupConsumer | None = None
        self._said = ""

    async def start(self) -> None:
        """Connect, make the feeds of all contracts in force, and begin.

        Raises:
            BusUnavailable: bus or registry cannot be reached.
            NotAuthorised, NotAuthenticated: the engine says no.
            InvalidKey, InvalidSettings: the router's key or secret cannot be read.
        """
        try:
            enter = self._running.enter_async_context
            self._identity = Identity.of(self._settings)
            self._reader = await enter(LogReader(self._settings.kafka, client_id=GROUP))
            if self._identity is not None:
                self._journal = JournalFollower(self._reader, self._prepare_feeds)
                await enter(self._journal)
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
        """Return the contracts in force that can be routed, by topic."""
        topics = await self._registry.contracts()
        found = [await self._registry.contract(topic) for topic in topics]
        known = self._is_known()
        return {one.topic: one for one in found if one.access == "open" or known}

    def _is_known(self) -> bool:
        """Whether the journal has the router's key, so that others can check what it attests."""
        if self._identity is None:
            return False
        standing, key_id = self._journal.ledger.standing, self._identity.signer.key_id
        key, now = standing.key(key_id), int(time.time() * 1000)
        known = (
            key is not None
            and key.owner == self._identity.system
            and standing.fault_of(key_id, now) is None
        )
        if not known and self._said != key_id:
            log.warning(
                "restricted contracts are not routed: the key %s of %s is none that the journal "
                "has in force; `stadtbus system attest` puts it there",
                key_id,
                self._identity.system,
            )
        self._said = "" if known else key_id
        return known

    async def _prepare(self, contracts: Mapping[str, Contract]) -> None:
        """Make feeds and topics of dead letters, and find out how records are routed."""
        async with Admin(self._settings.kafka) as admin:
            for topic, contract in contracts.items():
                await admin.ensure_topic(refused_spec(contract))
                versions = None
                if contract.access == "open":
                    await admin.ensure_topic(feed_spec(contract, open_feed(topic)))
                else:
                    await admin.ensure_topic(memory_spec(contract))
                    await admin.ensure_topic(disclosures.spec())
                    versions = LearntVersions(contract, self._registry)
                    await versions.learn_all()
                decoder = Decoder(contract, self._registry)
                topic_id = await admin.topic_id(topic)
                self._ways[topic] = _Way(contract, decoder, topic_id, versions)

    async def _prepare_feeds(self, flowing: Flowing) -> None:
        """Make the feeds that grants are for, before anything flows under them."""
        wanted = {
            member_feed(recipient, topic): topic
            for topic, grants in flowing.items()
            for recipient in grants.values()
        }
        missing = wanted.keys() - self._feeds
        if not missing:
            return
        async with Admin(self._settings.kafka) as admin:
            for feed in sorted(missing):
                try:
                    contract = await self._registry.contract(wanted[feed])
                except NotFound:
                    continue  # nothing flows of what is no contract, whoever granted it
                await admin.ensure_topic(feed_spec(contract, feed))
                self._feeds.add(feed)

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
            first, end = (await self._reader.bounds(place[0]))[place[1]]
            position = self._sound(place, await self._committed(place), first, end)
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
        self._lanes[place] = Lane(
            place,
            position,
            course=self._course(place),
            window=window,
            writing=writing,
            committed=self._committed,
            tell=lambda portion: self._tell(place[0], portion),
        )

    def _course(self, place: Place) -> Course:
        way = self._ways[place[0]]
        contract, decoder = way.contract, way.decoder
        if way.versions is None or self._identity is None:
            return OpenCourse(Route(contract, decoder, way.topic_id, open_feed(place[0])), decoder)
        identity, hours = self._identity, self._settings.router.oldest_hours
        memory = Memory(UUID(new_id()).hex)
        route = RestrictedRoute(
            contract,
            Admission(contract, decoder, way.versions, hours * 3_600_000),
            Writing(contract, identity.pseudonyms, identity.signer, identity.system),
            memory,
        )
        return RestrictedCourse(
            place,
            contract,
            route=route,
            memory=memory,
            learning=(decoder, way.versions),
            journal=self._journal,
            reader=self._reader,
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
        telemetry.routed.labels(topic).inc(len(portion.events))
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
