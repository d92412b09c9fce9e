"""The course of the demo: set the stage, say what is where, make mistakes, watch, settle."""

import asyncio
import fcntl
import logging
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from bus.admin import Admin
from bus.cli.decoding import text
from bus.cli.demo.mistakes import mistakes, publish_mistakes, try_breaking_schema
from bus.cli.demo.ports import place
from bus.cli.demo.scenes import Scenes
from bus.cli.demo.stage import ADDRESSES, READINGS, Stage, has_faust
from bus.cli.edge import emit, explain, say, stopped_within, unless_stopped
from bus.cli.serve import chosen_roles
from bus.contracts import Contract
from bus.errors import AddressInUse, BusError, InvalidSettings, StorageInUse
from bus.kafka import LogReader
from bus.letters import Shelf
from bus.node import Node, process_age
from bus.schemas import SchemaClient
from bus.settings import Settings
from bus.telemetry import configure_logging
from bus.watch.surveyor import Surveyor

MARK = ".stadtbus-demo"
"""The file that tells a demo's folder from one that must not be emptied."""

ENGINE = "engine"
"""The file that says on which engine the folder's demo plays: the cluster's id."""

STALLED = 15.0
"""Seconds in which nobody handles anything, after which what is missing counts as lost."""

ATTEMPTS = 5
"""How often ports are looked for that others take before they are listened on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for on the command line."""

    seconds: float | None
    rate: float
    seed: int | None
    reset: bool
    data: Path
    kafka: str | None
    json: bool


async def run(options: Options, stop: asyncio.Event) -> int:
    """Run the demo to its end; return the exit code."""
    configure_logging(logging.WARNING)
    async with staged(options) as (node, stage, moved):
        if not await unless_stopped(stage.start(), stop):
            return 0
        return await play(options, node, stage, moved, stop)


@asynccontextmanager
async def staged(options: Options) -> AsyncIterator[tuple[Node, Stage, dict[str, int]]]:
    """Yield a node, everybody who takes part, not started yet, and the ports that are not usual.

    Raises:
        BusError: folder, ports or engine cannot be used.
    """
    with claimed(options.data, reset=options.reset):
        async with started(options) as (node, moved):
            await belongs_to_engine(options.data, node.settings)
            stage = Stage(
                node.settings, options.data, rate=options.rate, seed=options.seed,
                traffic=has_faust(),
            )  # fmt: skip
            try:
                yield node, stage, moved
            finally:
                await stage.close()


@asynccontextmanager
async def started(options: Options) -> AsyncIterator[tuple[Node, dict[str, int]]]:
    """Yield a node that runs, and its ports that are not usual.

    Another demo may take a port between the look for it and listening on it: then others are looked
    for.

    Raises:
        BusError: ports or engine cannot be used.
    """
    async with AsyncExitStack() as running:
        yield await _listening(options, running)


async def _listening(options: Options, running: AsyncExitStack) -> tuple[Node, dict[str, int]]:
    roles = chosen_roles(None, external=options.kafka is not None)
    for _ in range(ATTEMPTS - 1):
        settings, moved = place(options.data / "node", options.kafka)
        with suppress(AddressInUse):
            return await running.enter_async_context(Node(settings, roles)), moved
    settings, moved = place(options.data / "node", options.kafka)
    return await running.enter_async_context(Node(settings, roles)), moved


async def play(
    options: Options, node: Node, stage: Stage, moved: dict[str, int], stop: asyncio.Event
) -> int:
    """Show the course of events once everybody is ready; return the exit code."""
    ready_seconds = process_age()
    scenes = Scenes(quiet=options.json)
    contracts = await in_force(node.settings)
    scenes.introduce(
        node.ready, contracts, options.data, options.rate, moved, ready_seconds,
        traffic=stage.traffic,
    )  # fmt: skip
    wrong = await misbehave(node.settings, stage, scenes)
    finished = await watch(options, node.settings, stage, scenes, stop)
    settled = finished and await settle(stage, stop)
    if settled:
        await until_set_aside(node.settings, wrong, stop)
    letters = await set_aside(node.settings, wrong | stage.ledger.acknowledged_ids)
    stage.ledger.dead_letters = len(letters)
    failures = stage.failures()
    await stage.close()
    summary = stage.ledger.summary(ready_seconds, settled=settled)
    scenes.close(summary)
    for failure in failures:
        say(explain(failure))
    if options.json:
        emit(summary)
    return verdict(summary, failures, settled=settled)


def verdict(summary: dict[str, Any], failures: list[BusError], *, settled: bool) -> int:
    """Return the exit code: 0 only if nothing failed and nothing that was waited for is lost."""
    return 1 if failures or (settled and summary["lost"]) else 0


@contextmanager
def claimed(data: Path, *, reset: bool) -> Iterator[None]:
    """Make the demo's folder, or empty it; keep every other demo out of it meanwhile.

    Raises:
        InvalidSettings: the folder holds something else than a demo, or cannot be written.
        StorageInUse: another demo runs in it; nothing was touched.
    """
    try:
        mark = _marked(data)
    except OSError as error:
        raise InvalidSettings(f"cannot be used: {error.strerror}", where=str(data)) from error
    with mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageInUse(
                "another demo runs in this folder",
                where=str(data),
                remedy="stop it, or name another folder with --data",
            ) from error
        if reset:
            _empty(data)
        yield


def _marked(data: Path) -> TextIO:
    if data.exists() and any(data.iterdir()) and not (data / MARK).exists():
        raise InvalidSettings(
            "the folder holds something else than a demo", where=str(data), remedy="name a new one"
        )
    data.mkdir(parents=True, exist_ok=True)
    return (data / MARK).open("a", encoding="utf-8")


async def belongs_to_engine(data: Path, settings: Settings) -> None:
    """Note on which engine a folder's demo plays, so that it goes on only there.

    What its cities have published already is on that engine and nowhere else.

    Raises:
        InvalidSettings: the demo began on another engine.
    """
    async with Admin(settings.kafka) as admin:
        engine = await admin.cluster_id()
    noted = data / ENGINE
    if not noted.exists():
        noted.write_text(engine, encoding="utf-8")
    if noted.read_text(encoding="utf-8") != engine:
        raise InvalidSettings(
            f"this demo began on another engine than {settings.kafka.bootstrap}",
            where=str(data),
            remedy="begin anew with --reset, or name another folder with --data",
        )


def _empty(data: Path) -> None:
    for entry in data.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != MARK:
            entry.unlink()


async def in_force(settings: Settings) -> list[Contract]:
    """Return the contracts in force."""
    async with SchemaClient.of(settings) as schemas:
        return [await schemas.contract(topic) for topic in await schemas.contracts()]


async def misbehave(settings: Settings, stage: Stage, scenes: Scenes) -> set[str]:
    """Try a breaking schema and write malformed events; return the ids of the events."""
    async with SchemaClient.of(settings) as schemas:
        refusal = await try_breaking_schema(schemas, READINGS)
        scenes.breaking_schema(refusal)
        found = await mistakes(schemas, ADDRESSES, READINGS)
    await publish_mistakes(settings, found)
    scenes.malformed(found)
    stage.ledger.refused = len(found) + (refusal is not None)
    return {mistake.id for mistake in found}


async def watch(
    options: Options, settings: Settings, stage: Stage, scenes: Scenes, stop: asyncio.Event
) -> bool:
    """Show what flows until the time is over; return False if somebody stopped it before."""
    clock = asyncio.get_running_loop().time
    end = None if options.seconds is None else clock() + options.seconds
    async with (
        Surveyor(settings.kafka) as surveyor,
        LogReader(settings.kafka) as reader,
        SchemaClient.of(settings) as schemas,
    ):
        while not stop.is_set() and not stage.failures():
            left = 1.0 if end is None else min(1.0, end - clock())
            if left <= 0:
                return True
            if await stopped_within(stop, left):
                return False
            await scenes.second(surveyor, reader, schemas, stage.subscriptions)
    return False


async def settle(stage: Stage, stop: asyncio.Event) -> bool:
    """Stop the cities and let every subscriber read to the end, the slow one at full speed.

    Returns:
        False if somebody stopped the demo before; True once nothing is missing, or once nobody
        has handled anything for a while.
    """
    await stage.close_cities()
    await stage.hurry()
    clock = asyncio.get_running_loop().time
    handled, since = stage.ledger.handled, clock()
    while stage.ledger.missing and clock() - since < STALLED and not stage.failures():
        if await stopped_within(stop, 0.1):
            return False
        if stage.ledger.handled != handled:
            handled, since = stage.ledger.handled, clock()
    return True


async def until_set_aside(settings: Settings, ids: set[str], stop: asyncio.Event) -> None:
    """Wait until these events are dead letters, or until it is plain that they will not be."""
    clock = asyncio.get_running_loop().time
    end = clock() + STALLED
    while await set_aside(settings, ids) != ids and clock() < end:
        if await stopped_within(stop, 0.2):
            return


async def set_aside(settings: Settings, ids: set[str]) -> set[str]:
    """Return those of these events that are dead letters, by their ids."""
    found: set[str] = set()
    async with Shelf(settings.kafka) as shelf:
        for topic in await shelf.counts():
            async for letter in shelf.letters(topic):
                found.add(text(dict(letter.headers).get("ce_id")) or "")
    return found & ids
