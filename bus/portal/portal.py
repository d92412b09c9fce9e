"""The portal as a role of a node: what people see of the bus, over HTTP."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from bus.audit import Notes
from bus.http import HttpListener
from bus.portal.application import Application
from bus.portal.aside import Aside
from bus.portal.catalogue import Catalogue
from bus.portal.desk import Desk
from bus.portal.disclosing import Disclosing
from bus.portal.page import Sources
from bus.portal.pages import PAGES
from bus.portal.payloads import Payloads
from bus.portal.picture import Picture
from bus.portal.publishers import Publishers
from bus.portal.pulse import Pulse, Watching
from bus.portal.registry import LocalRegistry
from bus.portal.streams import Streams
from bus.portal.sums import Sums, spread
from bus.portal.tailing import Feeds
from bus.portal.traffic import TrafficFollower
from bus.portal.trust.archive import Archive
from bus.portal.trust.examples import Examples
from bus.portal.trust.following import Following, Statements
from bus.portal.trust.here import Here
from bus.portal.trust.lookups import Lookups
from bus.portal.trust.preparing import Preparing
from bus.portal.unmasking import Unmasking
from bus.registry.state import State
from bus.schemas import SchemaClient
from bus.security import asks_who, lacking
from bus.settings import Address, Role, Settings
from bus.telemetry import Telemetry, Turns
from bus.trust.client import TrustClient
from bus.views.traffic import TOPIC as TRAFFIC
from bus.watch.rates import mark, rates
from bus.watch.survey import Survey

if TYPE_CHECKING:
    from bus.portal.security.access import Access

DATABASE, ARCHIVE = "portal.db", "portal-grants.db"


class Portal:
    """The pages that operators look at.

    Args:
        settings: where to listen, where data lies, and what the node's page shows.
        telemetry: what the node measures of itself.
        watch: what is known of the bus.
        registry: what the registry in this process knows; None: it is elsewhere.
        statements: of the registry in this process, asked in the loop that starts the portal; None:
            they are asked for over HTTP.
        roles: what the node runs.
    """

    def __init__(
        self,
        settings: Settings,
        telemetry: Telemetry,
        watch: Watching,
        registry: State | None,
        *,
        statements: Statements | None = None,
        roles: Sequence[Role] = ("portal",),
    ) -> None:
        self._settings, self._telemetry, self._watch = settings, telemetry, watch
        self._registry, self._roles = registry, tuple(roles)
        self._started = time.time()
        self._pictured: Picture | None = None
        self._sums = Sums(settings.data / DATABASE)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="stadtbus-portal")
        self._streams = Streams(self._most_streams, self._thread)
        self._pulse = Pulse(watch, self._count, self._streams.beat)
        self._aside = Aside()
        self._turns = Turns(telemetry, "portal")
        self._schemas = None if registry else SchemaClient.of(settings)
        known = self._schemas or LocalRegistry(registry or State())
        self._feeds = Feeds(settings.kafka, known)
        self._catalogue = Catalogue(registry, self._schemas)
        self._publishers = Publishers(settings.kafka, self._aside)
        self._traffic = TrafficFollower(settings.kafka, self._has_traffic)
        self._unmasking = Unmasking()
        self._source = TrustClient.of(settings) if statements is None else Here(statements)
        self._archive = Archive(settings.data / ARCHIVE)
        self._trust = Following(self._source, self._archive)
        self._examples = Examples(settings.kafka, known)
        self._desk = Desk(settings.kafka, self._aside, known, self._unmasking)
        self._disclosing = Disclosing(settings, self._unmasking)
        payloads = Payloads(self._aside, self._feeds, self._streams, self._unmasking)
        notes = Notes()
        self._access = self._asking(settings, notes, telemetry)
        local = settings.portal.listen.is_loopback and self._access is None
        preparing = Preparing(self._trust, self._aside, self._catalogue.known)
        lookups = Lookups(
            self._trust, self._aside, self._examples, self._catalogue.known, self._unmasking
        )
        parts = [
            self._desk.routes,
            self._disclosing.routes,
            payloads.routes,
            self._unmasking.routes,
            preparing.routes,  # before what has any name in its address
            lookups.routes,
        ]
        if self._access is not None:
            from bus.portal.security.login import Login

            parts.append(Login(self._access).routes)
        self._application = Application(PAGES, self._sources, self._streams, self._thread, parts)
        self._preparing: asyncio.Task[None] | None = None
        pages = self._application.asgi(self._access, telemetry, local=local)
        self._listener = HttpListener(
            _behind(pages, settings.portal.trusted_proxies),
            settings.portal,
            name="portal",
            telemetry=telemetry,
            notes=notes,
            lacking=lacking(settings, "portal", embedded=False),
        )

    @staticmethod
    def _asking(settings: Settings, notes: Notes, telemetry: Telemetry) -> "Access | None":
        """Return what asks readers who they are; loaded where somebody is asked at all."""
        if not asks_who(settings):
            return None
        from bus.portal.security.access import Access

        return Access(settings, notes, telemetry)

    @property
    def address(self) -> Address:
        """Where it really listens; known once started."""
        return self._listener.address

    @property
    def url(self) -> str:
        """The address as a browser takes it."""
        return self._listener.url

    async def start(self) -> None:
        """Open the databases, and answer requests.

        Raises:
            AddressInUse, InvalidSettings: the address cannot be listened on.
            StorageUnusable: nobody knows who may log in.
        """
        if self._access is not None:
            await self._access.start()
        await asyncio.to_thread(self._sums.open)
        await asyncio.to_thread(self._archive.open)
        if isinstance(self._source, Here):
            self._source.begin(asyncio.get_running_loop())
        self._aside.start()
        await self._aside.run(self._turns.start())
        await self._aside.run(self._disclosing.open())
        self._aside.post(self._traffic.run())
        self._aside.post(self._catalogue.run())
        self._aside.post(self._trust.run())
        await self._listener.start()
        await self._pulse.start()
        self._preparing = asyncio.create_task(self._application.prepare(), name="portal templates")

    async def stop(self) -> None:
        """Send all readers away, and close the database."""
        if self._preparing is not None:
            self._preparing.cancel()
            await asyncio.wait([self._preparing])
        await self._pulse.stop()
        self._streams.close()
        if self._access is not None:
            self._access.hurry()
        await self._listener.stop()
        await self._aside.stop(self._away())
        self._thread.shutdown()
        self._sums.close()
        self._archive.close()
        if self._access is not None:
            await self._access.stop()

    async def _away(self) -> None:
        """Leave the engine and the registry."""
        await self._turns.stop()
        await self._feeds.close()
        await self._desk.close()
        await self._disclosing.close()
        await self._examples.close()
        await self._source.close()
        if self._schemas is not None:
            await self._schemas.close()

    def _has_traffic(self) -> bool:
        """Whether the topic of the view of traffic load was seen."""
        latest = self._watch.latest
        return latest is not None and TRAFFIC in latest.topics

    def _most_streams(self) -> int:
        """Return how many streams there may be, which leave room for pages and what is on them."""
        return min(self._settings.portal.max_streams, max(self._listener.most // 2, 1))

    async def _count(self, before: Survey | None, after: Survey) -> None:
        found = rates(before, after)
        if before is None or found is None:
            return
        counted = spread(before.at, after.at, found.into, found.out)
        await asyncio.to_thread(self._sums.add, counted)

    def _sources(self) -> Sources:
        return Sources(
            picture=self._picture(),
            silence=self._watch.silence,
            now=time.time(),
            sums=self._sums,
            settings=self._settings,
            roles=self._roles,
            telemetry=self._telemetry,
            started=self._started,
            traffic=self._traffic.latest,
            contracts=self._catalogue.known,
            publishers=self._publishers.of,
            trust=self._trust,
        )

    def _picture(self) -> Picture | None:
        """Return the bus as it was last seen; called in the portal's thread alone."""
        latest, known = self._watch.latest, self._pictured
        if latest is not None and (known is None or known.survey is not latest):
            self._pictured = Picture(
                survey=latest,
                rates=rates(self._watch.previous, latest),
                history=(*self._watch.history, mark(latest)),
                titles=partial(_titles, self._registry),
                expected=self._watch.expected,
            )
        return self._pictured


def _behind(pages: ASGIApp, proxies: Sequence[str]) -> ASGIApp:
    """Return an application whose readers are where the proxies that are believed say they are."""
    believing = ProxyHeadersMiddleware(cast("Any", pages), trusted_hosts=list(proxies))
    return cast("ASGIApp", believing) if proxies else pages


def _titles(registry: State | None, topic: str) -> Mapping[str, str]:
    contract = registry.contract(topic) if registry else None
    titles = contract.get("title") if contract else None
    return titles if isinstance(titles, Mapping) else {}
