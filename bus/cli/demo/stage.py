"""The demo's stage: three cities that publish and three agencies that receive."""

import asyncio
from collections.abc import Callable, Mapping
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bus.cli.demo.ledger import Ledger
from bus.cli.demo.programs import Process, Program
from bus.cli.demo.recording import Recording
from bus.cli.demo.register import read_rows
from bus.cli.demo.story import Story
from bus.errors import BusError
from bus.settings import Settings, variable

ADDRESSES, READINGS = "address.building-changed.v1", "sensor.reading.v1"
TRAFFIC = "mobility.traffic-load.v1"
ADDRESS_BOOK = "de.agency.geodaten.address-book"
COUNT_REPORT = "de.agency.statistik.count-report"
TRAFFIC_VIEW = "de.agency.verkehr.traffic-view"

ADDRESS_SHARE = 0.75
"""Of the demo's rate, the part that is addresses; the rest is readings."""

TRAFFIC_SPEED = 60
"""How many times as fast Köln's morning passes: five minutes, an observation of each of a hundred
segments, in five seconds."""

SLOWNESS = 1.25
"""How much longer the slow subscriber takes for a reading than readings take to come."""

PROMISED = ("--promise", "5")
"""What both agencies promise: to be five seconds behind at the most. One does not keep it."""

SNAPSHOT_SECONDS = 15.0
"""How much of the register a snapshot adds, in seconds of publishing."""

PAUSE = 5.0
"""Seconds between two snapshots, or two mornings, at the least."""

WAIT = ("--wait", "30")
"""A city's job that begins while the bus is away waits for it."""


class Stage:
    """Everybody who takes part, and the account of what they did.

    Args:
        settings: where the bus and the registry are.
        data: the demo's folder.
        rate: events a second in all.
        seed: settles which addresses come when; None for the seed that the folder began with.
        traffic: whether Köln publishes its traffic and a view is kept of it, which needs Faust.
    """

    def __init__(
        self, settings: Settings, data: Path, *, rate: float, seed: int | None, traffic: bool
    ) -> None:
        self._data, self._rate, self.traffic = data, rate, traffic
        self._environment: Mapping[str, str] = {
            variable("kafka.bootstrap"): settings.kafka.bootstrap,
            variable("registry.url"): settings.registry.url,
            variable("cache"): str(data / "schemas"),
        }
        source = files("producers.address_register") / "data" / "berlin.csv"
        self._story = Story.open(
            data / "story.json", read_rows(source.read_text(encoding="utf-8")), seed
        )
        self.subscriptions = {ADDRESS_BOOK: ADDRESSES, COUNT_REPORT: READINGS}
        if traffic:
            self.subscriptions[TRAFFIC_VIEW] = TRAFFIC
            shipped = files("producers.traffic") / "data" / "load_2014-01-15_05-11.csv"
            self._recording = Recording.open(data, shipped.read_text(encoding="utf-8"))
        self.ledger = Ledger(self.subscriptions)
        self._snapshot = data / "register.csv"
        self._closing = asyncio.Event()
        self._agencies: list[Process] = []
        self._cities: list[Process] = []
        self._offices: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the agencies, then the cities; return once all are connected.

        Raises:
            BusError: one of them ended before it was ready.
        """
        readings = self._rate * (1 - ADDRESS_SHARE)
        self._agencies = [
            self._process(
                "address book",
                "consumers.address_book",
                *self._database("address-book"),
                *PROMISED,
            ),
            self._count_report("--delay", f"{SLOWNESS / readings:.6f}"),
        ]
        counts = self._process(
            "Münster",
            "producers.counts",
            "--state",
            str(self._data / "counts.db"),
            "--rate",
            f"{readings:g}",
            *WAIT,
        )
        self._cities = [self._next_snapshot(), counts]
        if self.traffic:
            self._agencies.append(self._process("traffic view", "consumers.traffic_view"))
            self._cities.append(self._morning())
        everybody = [*self._agencies, *self._cities]
        await asyncio.gather(*(process.start() for process in everybody))
        await asyncio.gather(*(process.ready() for process in everybody))
        self._offices = [asyncio.create_task(self._keep_on(0, self._next_snapshot))]
        if self.traffic:
            self._offices.append(asyncio.create_task(self._keep_on(2, self._next_morning)))

    async def hurry(self) -> None:
        """Start the slow subscriber anew without its slowness."""
        await self._agencies[1].stop()
        self._agencies[1] = self._count_report()
        await self._agencies[1].start()

    async def close_cities(self) -> None:
        """Let the cities finish what is under way, and stop."""
        self._closing.set()
        await asyncio.gather(*(process.stop() for process in self._cities))
        await asyncio.gather(*self._offices)
        # An office may have begun its next run just before.
        await asyncio.gather(*(process.stop() for process in self._cities))

    async def close(self) -> None:
        """Stop everybody: the cities first, then the agencies, which commit before they go."""
        await self.close_cities()
        await asyncio.gather(*(process.stop() for process in self._agencies))

    def failures(self) -> list[BusError]:
        """Return an error for every program that has ended by itself and not well."""
        return [p.failure() for p in (*self._agencies, *self._cities) if p.failed]

    async def _keep_on(self, city: int, following: Callable[[], Process | None]) -> None:
        """Have a city publish one file after the other, each by a run of its own, as it would."""
        while not self._closing.is_set():
            await self._cities[city].end()
            if self._cities[city].failed or await self._closing_within(PAUSE):
                return
            if (process := following()) is None:
                return
            await process.start()
            self._cities[city] = process

    async def _closing_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _count_report(self, *arguments: str) -> Process:
        database = self._database("count-report")
        return self._process(
            "count report", "consumers.count_report", *database, *PROMISED, *arguments
        )

    def _database(self, name: str) -> tuple[str, str]:
        return "--database", f"sqlite:///{(self._data / name).absolute()}.db"

    def _next_snapshot(self) -> Process:
        rate = self._rate * ADDRESS_SHARE
        self._story.next(max(1, round(rate * SNAPSHOT_SECONDS)), self._snapshot)
        return self._process(
            "Berlin",
            "producers.address_register",
            str(self._snapshot),
            "--date",
            self._story.day.isoformat(),
            "--state",
            str(self._data / "register.db"),
            "--rate",
            f"{rate:g}",
            *WAIT,
        )

    def _next_morning(self) -> Process | None:
        return self._morning() if self._recording.turn() else None

    def _morning(self) -> Process:
        return self._process(
            "Köln",
            "producers.traffic",
            str(self._recording.file),
            "--state",
            str(self._data / "traffic.db"),
            "--speed",
            f"{TRAFFIC_SPEED:g}",
            *WAIT,
        )

    def _process(self, title: str, module: str, *arguments: str) -> Process:
        program = Program(title=title, module=module, arguments=(*arguments, "-o", "json"))
        log = self._data / f"{module.rpartition('.')[2]}.log"
        return Process(program, log, self._environment, self._note)

    def _note(self, report: dict[str, Any]) -> None:
        match report["event"]:
            case "acknowledged":
                self.ledger.acknowledge(report["topic"], report["ids"])
            case "delivered":
                self.ledger.deliver(report["group"], report["ids"])
            case "late":
                self.ledger.come_late(report["group"], report["ids"])
            case "done" if "published" in report:
                self.ledger.published += report["published"]


def has_faust() -> bool:
    """Return whether what keeps the view of traffic can run here."""
    return find_spec("faust") is not None
