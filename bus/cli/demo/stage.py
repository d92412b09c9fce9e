"""The demo's stage: two cities that publish and two agencies that receive."""

import asyncio
from collections.abc import Mapping
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from bus.cli.demo.ledger import Ledger
from bus.cli.demo.programs import Process, Program
from bus.cli.demo.register import read_rows
from bus.cli.demo.story import Story
from bus.errors import BusError
from bus.settings import Settings, variable

ADDRESSES, READINGS = "address.building-changed.v1", "sensor.reading.v1"
ADDRESS_BOOK = "de.agency.geodaten.address-book"
COUNT_REPORT = "de.agency.statistik.count-report"
SUBSCRIPTIONS = {ADDRESS_BOOK: ADDRESSES, COUNT_REPORT: READINGS}

ADDRESS_SHARE = 0.75
"""Of the demo's rate, the part that is addresses; the rest is readings."""

SLOWNESS = 1.25
"""How much longer the slow subscriber takes for a reading than readings take to come."""

SNAPSHOT_SECONDS = 15.0
"""How much of the register a snapshot adds, in seconds of publishing."""

PAUSE = 5.0
"""Seconds between two snapshots at the least, once the whole register is known."""

WAIT = ("--wait", "30")
"""A city's job that begins while the bus is away waits for it."""


class Stage:
    """Everybody who takes part, and the account of what they did.

    Args:
        settings: where the bus and the registry are.
        data: the demo's folder.
        rate: events a second in all.
        seed: settles which addresses come when; None for the seed that the folder began with.
    """

    def __init__(self, settings: Settings, data: Path, *, rate: float, seed: int | None) -> None:
        self._data, self._rate = data, rate
        self._environment: Mapping[str, str] = {
            variable("kafka.bootstrap"): settings.kafka.bootstrap,
            variable("registry.url"): settings.registry.url,
            variable("cache"): str(data / "schemas"),
        }
        source = files("producers.address_register") / "data" / "berlin.csv"
        self._story = Story.open(
            data / "story.json", read_rows(source.read_text(encoding="utf-8")), seed
        )
        self.ledger = Ledger(SUBSCRIPTIONS)
        self._snapshot = data / "register.csv"
        self._closing = asyncio.Event()
        self._agencies: list[Process] = []
        self._cities: list[Process] = []
        self._register_office: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the agencies, then the cities; return once all four are connected.

        Raises:
            BusError: one of them ended before it was ready.
        """
        readings = self._rate * (1 - ADDRESS_SHARE)
        self._agencies = [
            self._process(
                "address book", "consumers.address_book", *self._database("address-book")
            ),
            self._process(
                "count report",
                "consumers.count_report",
                *self._database("count-report"),
                "--delay",
                f"{SLOWNESS / readings:.6f}",
            ),
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
        everybody = [*self._agencies, *self._cities]
        await asyncio.gather(*(process.start() for process in everybody))
        await asyncio.gather(*(process.ready() for process in everybody))
        self._register_office = asyncio.create_task(self._keep_the_register())

    async def hurry(self) -> None:
        """Start the slow subscriber anew without its slowness."""
        await self._agencies[1].stop()
        self._agencies[1] = self._count_report()
        await self._agencies[1].start()

    async def close_cities(self) -> None:
        """Let the cities finish what is under way, and stop."""
        self._closing.set()
        await asyncio.gather(*(process.stop() for process in self._cities))
        if self._register_office is not None:
            await self._register_office

    async def close(self) -> None:
        """Stop everybody: the cities first, then the agencies, which commit before they go."""
        await self.close_cities()
        await asyncio.gather(*(process.stop() for process in self._agencies))

    def failures(self) -> list[BusError]:
        """Return an error for every program that has ended by itself and not well."""
        return [p.failure() for p in (*self._agencies, *self._cities) if p.failed]

    async def _keep_the_register(self) -> None:
        """Publish one snapshot after the other, each by a run of its own, as a city would."""
        while not self._closing.is_set():
            await self._cities[0].end()
            if self._cities[0].failed or await self._closing_within(PAUSE):
                return
            following = self._next_snapshot()
            await following.start()
            self._cities[0] = following

    async def _closing_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _count_report(self, *arguments: str) -> Process:
        database = self._database("count-report")
        return self._process("count report", "consumers.count_report", *database, *arguments)

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

    def _process(self, title: str, module: str, *arguments: str) -> Process:
        program = Program(title=title, module=module, arguments=(*arguments, "-o", "json"))
        log = self._data / f"{module.rpartition('.')[2]}.log"
        return Process(program, log, self._environment, partial(self._note, title))

    def _note(self, title: str, report: dict[str, Any]) -> None:
        match report["event"]:
            case "acknowledged":
                self.ledger.acknowledge(report["topic"], report["ids"])
            case "delivered":
                self.ledger.deliver(report["group"], report["ids"])
            case "done" if title in {"Berlin", "Münster"}:
                self.ledger.published += report["published"]
