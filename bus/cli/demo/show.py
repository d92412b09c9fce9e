"""The course of the demo: set the stage, say what is where, make mistakes, watch, settle."""

import asyncio
import logging
import shutil
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bus.admin import Admin
from bus.cli.demo.mistakes import mistakes, publish_mistakes, try_breaking_schema
from bus.cli.demo.ports import free_port
from bus.cli.demo.scenes import Scenes
from bus.cli.demo.stage import ADDRESSES, READINGS, SUBSCRIPTIONS, Stage
from bus.cli.edge import emit, explain, say, stopped_within
from bus.cli.serve import chosen_roles
from bus.contracts import Contract
from bus.errors import BusError, InvalidSettings
from bus.kafka import LogReader
from bus.node import Node, process_age
from bus.schemas import SchemaClient
from bus.settings import Settings, load
from bus.subscriber.waiting import dead_letters
from bus.telemetry import configure_logging

MARK = ".stadtbus-demo"
"""The file that tells a demo's folder from one that must not be emptied."""

STALLED = 15.0
"""Seconds without any delivery after which what is missing counts as lost."""

USUAL_PORTS = {"broker": 9092, "registry": 8081, "ops": 9464}


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
    prepare(options.data, reset=options.reset)
    settings, moved = place(options)
    async with AsyncExitStack() as cleanup:
        roles = chosen_roles(None, external=options.kafka is not None)
        node = await cleanup.enter_async_context(Node(settings, roles))
        stage = Stage(node.settings, options.data, rate=options.rate, seed=options.seed)
        cleanup.push_async_callback(stage.close)
        await stage.start()
        ready_seconds = process_age()
        scenes = Scenes(quiet=options.json)
        contracts = await in_force(node.settings)
        scenes.introduce(node.ready, contracts, options.data, options.rate, moved, ready_seconds)
        letters_before = await count_dead_letters(node.settings)
        wrong = await misbehave(node.settings, stage, scenes)
        finished = await watch(options, node.settings, stage, scenes, stop)
        settled = finished and await settle(stage, stop)
        if settled:
            await until_set_aside(node.settings, letters_before + wrong, stop)
        stage.ledger.dead_letters = await count_dead_letters(node.settings) - letters_before
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


def prepare(data: Path, *, reset: bool) -> None:
    """Make the demo's folder, or empty it.

    Raises:
        InvalidSettings: the folder holds something else than a demo, or cannot be written.
    """
    try:
        if data.exists() and any(data.iterdir()) and not (data / MARK).exists():
            raise InvalidSettings(
                "the folder holds something else than a demo",
                where=str(data),
                remedy="name a new one",
            )
        if reset and data.exists():
            shutil.rmtree(data)
        data.mkdir(parents=True, exist_ok=True)
        (data / MARK).touch()
    except OSError as error:
        raise InvalidSettings(f"cannot be used: {error.strerror}", where=str(data)) from error


def place(options: Options) -> tuple[Settings, dict[str, int]]:
    """Return the node's settings with ports that are free, and the ports that were not usual."""
    taken: set[int] = set()
    ports = {role: free_port(usual, taken) for role, usual in USUAL_PORTS.items()}
    moved = {role: port for role, port in ports.items() if port != USUAL_PORTS[role]}
    listeners = {f"{role}.listen": f"127.0.0.1:{port}" for role, port in ports.items()}
    registry = f"http://127.0.0.1:{ports['registry']}"
    flags = {"data": options.data / "node", "kafka.bootstrap": options.kafka, **listeners}
    return load({**flags, "registry.url": registry}), moved


async def in_force(settings: Settings) -> list[Contract]:
    """Return the contracts in force."""
    async with SchemaClient(settings.registry.url) as schemas:
        return [await schemas.contract(topic) for topic in await schemas.contracts()]


async def misbehave(settings: Settings, stage: Stage, scenes: Scenes) -> int:
    """Try a breaking schema and write malformed events; return how many events."""
    async with SchemaClient(settings.registry.url) as schemas:
        refusal = await try_breaking_schema(schemas, READINGS)
        scenes.breaking_schema(refusal)
        found = await mistakes(schemas, ADDRESSES, READINGS)
    await publish_mistakes(settings, found)
    scenes.malformed(found)
    stage.ledger.refused = len(found) + (refusal is not None)
    return len(found)


async def watch(
    options: Options, settings: Settings, stage: Stage, scenes: Scenes, stop: asyncio.Event
) -> bool:
    """Show what flows until the time is over; return False if somebody stopped it before."""
    clock = asyncio.get_running_loop().time
    end = None if options.seconds is None else clock() + options.seconds
    async with (
        Admin(settings.kafka) as admin,
        LogReader(settings.kafka) as reader,
        SchemaClient(settings.registry.url) as schemas,
    ):
        while not stop.is_set() and not stage.failures():
            left = 1.0 if end is None else min(1.0, end - clock())
            if left <= 0:
                return True
            if await stopped_within(stop, left):
                return False
            await scenes.second(admin, reader, schemas, SUBSCRIPTIONS)
    return False


async def settle(stage: Stage, stop: asyncio.Event) -> bool:
    """Stop the cities and let every subscriber read to the end.

    Returns:
        False if somebody stopped the demo before; True once nothing is missing, or once nothing
        more has been delivered for a while.
    """
    await stage.close_cities()
    clock = asyncio.get_running_loop().time
    missing, since = stage.ledger.missing, clock()
    while missing and clock() - since < STALLED and not stage.failures():
        if await stopped_within(stop, 0.1):
            return False
        if stage.ledger.missing < missing:
            missing, since = stage.ledger.missing, clock()
    return True


async def until_set_aside(settings: Settings, count: int, stop: asyncio.Event) -> None:
    """Wait until so many dead letters are there, or until it is plain that they will not come."""
    clock = asyncio.get_running_loop().time
    end = clock() + STALLED
    while await count_dead_letters(settings) < count and clock() < end:
        if await stopped_within(stop, 0.2):
            return


async def count_dead_letters(settings: Settings) -> int:
    """Return how many events were set aside in all."""
    async with Admin(settings.kafka) as admin, LogReader(settings.kafka) as reader:
        return sum((await dead_letters(admin, reader)).values())
