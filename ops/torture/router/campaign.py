"""Routers killed and stopped while residents move and grants come and go."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from bus.avro.codec import Codec
from bus.disclosures import TOPIC as DISCLOSURES
from bus.disclosures import read
from bus.event import unframe
from bus.kafka import LogReader
from bus.pause import Pause
from bus.publisher import Publisher
from bus.router.identity import FOLDER, KEY, SECRET
from bus.schemas import SchemaClient
from bus.settings import Settings, variable
from ops.council import (
    REGISTER,
    ROUTER,
    STATISTICS,
    TAX,
    TOPIC,
    WATER,
    Council,
    committed,
    council_of,
    residents_move,
)
from ops.node import NodeProcess
from ops.torture.router.judging import Findings, Given, Said, Told, judged, present, wanted

ROUTERS = 2
PEOPLE = 60
CAUSES = ("MOVE", "DEATH", "CORRECTION")
FIELDS = ("cause", "household", "valid_from", "new_address")
MOST_GRANTS = 5

BETWEEN = 0.2
"""Seconds between ten moves and the next ten."""

PROGRESS = 40
"""Records that feeds get after a hit, at the least, until the next one."""

LONGEST_STOP = 8.0
"""Seconds that a router is stopped at the most: longer than its transactions live."""

SETTLED = 120.0
"""Seconds in which feeds have to be in step once nothing changes any more."""


@dataclass
class _Stage:
    council: Council
    choose: random.Random
    routers: list[NodeProcess]
    grants: list[Given] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    number: int = 0
    is_over: bool = False


async def router_campaign(
    folder: Path,
    bus: Settings,
    *,
    hits: int,
    seed: int,
    say: Callable[[str], None] = lambda _: None,
) -> Findings:
    """Kill and stop routers under load, and judge what feeds hold.

    Args:
        folder: an empty one.
        bus: how to reach an engine and a registry on which nobody has a say yet.
        hits: how many times.
        seed: settles what happens when.
        say: is told how far it is.

    Raises:
        TimeoutError: nothing came to feeds for two minutes.
    """
    async with AsyncExitStack() as stack:
        council = await stack.enter_async_context(council_of(bus, folder))
        (folder / FOLDER / SECRET).write_bytes(random.randbytes(32))  # of a test
        routers = [_router(folder, bus, number) for number in range(ROUTERS)]
        stage = _Stage(council, random.Random(seed), routers)
        await _grant(stage)
        for router in routers:
            router.launch()
        stack.callback(_end, routers)
        for router in routers:
            await asyncio.to_thread(router.answered)
        tasks = [asyncio.create_task(_publish(stage)), asyncio.create_task(_decide(stage))]
        for hit in range(hits):
            await _progress(stage, tasks)
            say(f"hit {hit + 1}: {await _hit(stage)}")
        stage.is_over = True
        await asyncio.gather(*tasks)
        return await _settled(stage)


def _router(folder: Path, bus: Settings, number: int) -> NodeProcess:
    own = folder / FOLDER
    environment = {
        variable("registry.url"): bus.registry.url,
        variable("router.system"): ROUTER,
        variable("router.signing_key"): str(own / KEY),
        variable("router.pseudonym_secret"): str(own / SECRET),
    }
    data = folder / f"router-{number}"
    arguments = ("--roles", "router", "--kafka", bus.kafka.bootstrap)
    return NodeProcess(data, *arguments, environment=environment)


def _end(routers: list[NodeProcess]) -> None:
    for router in routers:
        router.kill()


async def _publish(stage: _Stage) -> None:
    """Have people move until the end."""
    choose = stage.choose
    async with Publisher(REGISTER, stage.council.register) as publisher:
        while not stage.is_over:
            stage.number += 1
            moves = [
                residents_move(
                    pseudonym=f"person-{choose.randrange(PEOPLE)}",
                    cause=choose.choice(CAUSES),
                    household=f"household-{stage.number}",
                    sealed=choose.random() < 0.05,
                )
                for _ in range(10)
            ]
            await publisher.publish_many(TOPIC, moves)
            await asyncio.sleep(BETWEEN)


async def _decide(stage: _Stage) -> None:
    """Give grants and take them back until the end."""
    while not stage.is_over:
        await asyncio.sleep(stage.choose.uniform(0.5, 2.0))
        live = [grant for grant in stage.grants if grant.ended_ms is None]
        if len(live) < MOST_GRANTS and stage.choose.random() < 0.6:
            await _grant(stage)
        elif len(live) > 1:
            await _revoke(stage, stage.choose.choice(live))


async def _grant(stage: _Stage) -> None:
    choose = stage.choose
    recipient = choose.choice((TAX, WATER, STATISTICS))
    fields = frozenset(choose.sample(FIELDS, choose.randint(1, 3)))
    cause = choose.choice((None, *CAUSES))
    rows = [] if cause is None else [{"field": "cause", "is": cause}]
    digest = await stage.council.grant(recipient, " ".join(fields), *rows)
    given = Given(digest[:32], recipient, fields, cause, _now())
    stage.grants.append(given)
    stage.digests[given.id] = digest


async def _revoke(stage: _Stage, grant: Given) -> None:
    await stage.council.revoke(stage.digests[grant.id])
    # By the clock after it was taken: what is late by this one is late by the engine's.
    stage.grants[stage.grants.index(grant)] = replace(grant, ended_ms=_now())


async def _progress(stage: _Stage, tasks: list[asyncio.Task[None]]) -> None:
    goal = await _count(stage) + PROGRESS
    async with asyncio.timeout(SETTLED):
        while await _count(stage) < goal:
            for task in tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.1)
    await asyncio.sleep(stage.choose.uniform(0, 0.5))


async def _count(stage: _Stage) -> int:
    """Return how many records feeds ever got."""
    count = 0
    async with LogReader(stage.council.bus.kafka) as reader:
        for recipient in (TAX, WATER, STATISTICS):
            feed = f"feed.{recipient}.{TOPIC}"
            if await reader.exists(feed):
                count += sum(end for _, end in (await reader.bounds(feed)).values())
    return count


async def _hit(stage: _Stage) -> str:
    """Kill a router and start it again, or stop it for a while."""
    number = stage.choose.randrange(ROUTERS)
    router = stage.routers[number]
    if stage.choose.random() < 0.5:
        await asyncio.to_thread(router.kill)
        router.launch()
        await asyncio.to_thread(router.answered)
        return f"router {number} killed"
    seconds = stage.choose.uniform(0, LONGEST_STOP)
    router.send(signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        router.send(signal.SIGCONT)
    return f"router {number} stopped for {seconds:.1f} s"


async def _settled(stage: _Stage) -> Findings:
    """Wait until feeds hold what they should, and judge how that came about."""
    deadline = time.monotonic() + SETTLED
    said, count = await _said(stage), -1
    want = wanted(said, stage.grants)
    while True:
        before, count = count, await _count(stage)
        if before == count:  # nothing came for a while: worth a look at all of it
            told = await _told(stage)
            is_in_step = present(told) == want
            if is_in_step or time.monotonic() > deadline:
                disclosed = await _disclosed(stage)
                # Elsewhere than in this loop, in which broker and registry may run.
                return await asyncio.to_thread(judged, said, told, stage.grants, disclosed)
        await asyncio.sleep(2)


async def _said(stage: _Stage) -> list[Said]:
    found = []
    async with (
        LogReader(stage.council.bus.kafka) as reader,
        SchemaClient.of(stage.council.bus) as schemas,
    ):
        codec: Codec | None = None
        pause = Pause()
        for record in await committed(reader, TOPIC):
            await pause()
            number, body = unframe(record.value or b"")
            codec = codec or Codec(await schemas.schema(number))
            data = codec.decode(body)
            found.append(
                Said(
                    record.partition,
                    record.offset,
                    record.key or b"",
                    record.timestamp_ms,
                    dict(record.headers)["ce_id"].decode(),
                    data["cause"],
                    data["sealed"],
                )
            )
    return found


async def _told(stage: _Stage) -> list[Told]:
    found = []
    for recipient in (TAX, WATER, STATISTICS):
        begun = Counter[tuple[int, str]]()
        for one in await stage.council.feed(recipient):
            partition = one.record.partition
            if one.snapshot is not None:
                begun[partition, one.grants[0]] += one.snapshot.startswith("begin/")
                continue
            headers = dict(one.record.headers)
            given = None
            if one.data is not None:
                withheld = headers["stadtbus-withheld"].decode().split(",")
                given = frozenset(one.data.keys() - set(withheld))
            found.append(
                Told(
                    recipient,
                    partition,
                    one.key,
                    one.record.timestamp_ms,
                    one.event,
                    given,
                    one.grants,
                    headers["stadtbus-state"].decode(),
                    tuple(begun[partition, grant] for grant in one.grants),
                )
            )
    return found


async def _disclosed(stage: _Stage) -> list[tuple[str, str]]:
    async with LogReader(stage.council.bus.kafka) as reader:
        return [
            (one.recipient, one.event)
            for record in await committed(reader, DISCLOSURES)
            for one in read(record)
        ]


def _now() -> int:
    return int(time.time() * 1000)
