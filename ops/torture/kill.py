"""Kill the node in the middle of the stream, again and again; nothing acknowledged may be lost."""

import asyncio
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bus.cli.demo.stage import ADDRESS_BOOK, Stage
from bus.settings import load
from ops.node import NodeProcess

RATE = 400.0
"""Events a second: enough that a kill meets batches on their way."""

ACKNOWLEDGED_BETWEEN = 20
"""Events that are acknowledged after a start, at the least, before the node is killed again."""

LONGEST_DELAY = 0.3
"""Seconds, at the most, from then until the kill."""

STALLED = 60.0
"""Seconds without any progress after which a campaign has failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a campaign found.

    Args:
        kills: how often the node was killed.
        acknowledged: events that publishers got a receipt for.
        lost: deliveries that are missing in the end.
        applied: changes that the address book counts as applied.
        expected: changes that it has to count: each acknowledged address event once.
    """

    kills: int
    acknowledged: int
    lost: int
    applied: int
    expected: int


async def kill_campaign(data: Path, *, kills: int, seed: int) -> Outcome:
    """Run producers and consumers against a node that is killed at random moments.

    Args:
        data: an empty folder.
        kills: how often.
        seed: settles the moments.

    Raises:
        TimeoutError: nothing was acknowledged or delivered for a minute.
        BusError: a program ended by itself.
    """
    choose = random.Random(seed)
    node = NodeProcess(data / "node")
    node.start()
    try:
        settings = load(
            {
                "kafka.bootstrap": node.ready["broker"],
                "registry.url": node.ready["registry"],
            }
        )
        stage = Stage(settings, data, rate=RATE, seed=seed, traffic=False)
        try:
            await stage.start()
            for _ in range(kills):
                goal = stage.ledger.acknowledged + ACKNOWLEDGED_BETWEEN
                await _until(stage, partial(_has_reached, stage, goal))
                await asyncio.sleep(choose.uniform(0, LONGEST_DELAY))
                await asyncio.to_thread(node.kill)
                node.launch()
                await asyncio.to_thread(node.answered)
            await stage.close_cities()
            await _until(stage, lambda: not stage.ledger.missing)
        finally:
            await stage.close()
    finally:
        node.stop()
    return Outcome(
        kills=kills,
        acknowledged=stage.ledger.acknowledged,
        lost=stage.ledger.missing,
        applied=_applied(data / "address-book.db"),
        expected=stage.ledger.delivered[ADDRESS_BOOK],
    )


def _applied(database: Path) -> int:
    """Return how many changes the address book has made: each raises a row's revision by one."""
    tables = ("address", "withdrawn_address")
    with closing(sqlite3.connect(database)) as book:
        counts = [
            book.execute(f"select coalesce(sum(revision), 0) from {table}").fetchone()[0]  # noqa: S608  # names from here
            for table in tables
        ]
    return int(sum(counts))


def _has_reached(stage: Stage, acknowledged: int) -> bool:
    return stage.ledger.acknowledged >= acknowledged


async def _until(stage: Stage, condition: Callable[[], bool]) -> None:
    clock = asyncio.get_running_loop().time
    progress, since = (-1, -1), clock()
    while not condition():
        for failure in stage.failures():
            raise failure
        now = (stage.ledger.acknowledged, stage.ledger.missing)
        if now != progress:
            progress, since = now, clock()
        if clock() - since > STALLED:
            raise TimeoutError(f"no progress for {STALLED:g} s: {now} acknowledged, missing")
        await asyncio.sleep(0.02)
