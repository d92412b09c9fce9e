"""`make torture`: long campaigns, by name or all.

    python -m ops.torture [NAME] [--minutes M] [--seed N] [--write]

Each campaign ends by itself, after its rounds or its time, and prints what it did. The exit code is
1 if a promise was broken, if something stalled, or if the time was over before all was tried; with
`--minutes` a shorter campaign is asked for, and one round is enough.
"""

import argparse
import asyncio
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from sqlite3 import sqlite_version

from bus import __version__
from bus.errors import BusError
from bus.settings import load
from ops.kafka import cluster
from ops.node import NodeProcess
from ops.torture import failover as brokers
from ops.torture.broker import campaign as embedded
from ops.torture.broker import page
from ops.torture.kill import kill_campaign
from ops.torture.nemesis import QUICK
from ops.torture.router import Findings, router_campaign

KILLS = 20
"""Kills of one round; each round begins with an empty folder."""


def kill(until: float, seed: int, timed: bool) -> bool:
    """Kill the node in the middle of the stream until the time is over, whoever chose it."""
    rounds = random.Random(seed)
    kills = acknowledged = 0
    whole = True
    while whole and time.monotonic() < until:
        with tempfile.TemporaryDirectory() as folder:
            outcome = asyncio.run(
                kill_campaign(Path(folder), kills=KILLS, seed=rounds.randrange(2**31))
            )
        kills += outcome.kills
        acknowledged += outcome.acknowledged
        whole = outcome.lost == 0 and outcome.applied == outcome.expected
        print(f"kill: {outcome}", flush=True)
    print(f"kill: {kills} kills, {acknowledged} events acknowledged, promise kept: {whole}")
    return whole and kills > 0


FAILOVERS = 100
"""Rounds of the failover campaign."""


def failover(until: float, seed: int, timed: bool) -> bool:
    """Kill and hold brokers of three under load, until the rounds or the time are over."""
    try:
        outcome = asyncio.run(_failover(until, seed, 1 if timed else FAILOVERS))
    except (BusError, TimeoutError) as error:
        print(f"failover: could not be judged: {type(error).__name__}: {error}")
        return False
    for breach in outcome.findings.breaches:
        print(f"failover: broken: {breach}")
    print(f"failover: {outcome}")
    return outcome.kept


async def _failover(until: float, seed: int, enough: int) -> brokers.Outcome:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        (work := data / "work").mkdir()
        async with cluster(data / "kafka", brokers=3, configs=QUICK) as running:
            return await brokers.failover(
                running,
                work,
                rounds=FAILOVERS,
                seed=seed,
                enough=enough,
                until=until,
                say=lambda done: print(f"failover: {done}", flush=True),
            )


def broker(until: float, seed: int, timed: bool, *, write: bool = False) -> bool:
    """Try whatever can befall the embedded broker, until enough of it is tried or time is over."""
    minutes = (until - time.monotonic()) / 60
    results = list(embedded.campaign(minutes, seed, lambda line: print(line, flush=True)))
    kept = not any(one.breaches for one in results)
    tried = [one for one in results if one.tries >= (1 if timed else one.part.planned)]
    for one in results:
        print(f"broker: {one}")
    print(f"broker: {len(tried)} of {len(embedded.PARTS) + 1} parts tried, promises kept: {kept}")
    if write:
        machine = f"{os.cpu_count()} cores, Linux {platform.release()}, SQLite {sqlite_version}"
        said = page.figures(
            results,
            seed=seed,
            day=datetime.now(UTC).date().isoformat(),
            version=__version__,
            machine=machine,
        )
        page.PAGE.write_text(page.with_figures(page.PAGE.read_text(), said))
    return kept and len(tried) == len(results) > 0


HITS = 200
"""Hits of the router campaign, in rounds of as many as `ROUND`; each begins with an empty bus."""

ROUND = 20


def router(until: float, seed: int, timed: bool) -> bool:
    """Kill and stop routers in mid-stream while grants come and go."""
    rounds = random.Random(seed)
    hits = deliveries = withdrawals = 0
    breaches: list[str] = []
    while not breaches and hits < HITS and time.monotonic() < until:
        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(_routers(Path(folder), rounds.randrange(2**31)))
        hits += ROUND
        deliveries += found.deliveries
        withdrawals += found.withdrawals
        breaches += found.breaches
        print(
            f"router: {hits} hits, {deliveries} deliveries, {withdrawals} withdrawals", flush=True
        )
    for breach in breaches:
        print(f"router: broken: {breach}")
    print(f"router: {hits} hits, promise kept: {not breaches}")
    return not breaches and hits >= (ROUND if timed else HITS)


async def _routers(folder: Path, seed: int) -> Findings:
    (work := folder / "work").mkdir()
    with NodeProcess(folder / "node", "--roles", "broker,registry") as node:
        places = {
            "kafka.bootstrap": node.ready["broker"],
            "registry.url": node.ready["registry"],
        }
        return await router_campaign(work, load(places), hits=ROUND, seed=seed)


CAMPAIGNS: dict[str, tuple[Callable[[float, int, bool], bool], float]] = {
    "kill": (kill, 20),
    "broker": (broker, embedded.MINUTES),
    "router": (router, 90),
    "failover": (failover, 90),  # rounds take up to half a minute, and there are a hundred
}
"""Each campaign, and the minutes that it takes at the most.

It is told when its time is over, its seed, and whether somebody chose that time for it.
"""


def main() -> None:
    """Run campaigns; exit with 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description="long campaigns that break things on purpose")
    parser.add_argument("name", nargs="?", choices=CAMPAIGNS, help="one campaign; all if not given")
    parser.add_argument(
        "--minutes",
        type=float,
        help="longest time of each campaign [kill 20, broker 60, router 90, failover 90]",
    )
    parser.add_argument(
        "--write", action="store_true", help="write docs/promises.md (only with broker)"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    given = parser.parse_args()
    if given.write and given.name != "broker":
        parser.error("--write is for the campaign broker alone")
    names = [given.name] if given.name else list(CAMPAIGNS)
    kept = []
    for name in names:
        campaign, usual = CAMPAIGNS[name]
        minutes = usual if given.minutes is None else given.minutes
        print(f"{name}: seed {given.seed}, {minutes:g} minutes", flush=True)
        until = time.monotonic() + minutes * 60
        if given.write:
            campaign = partial(broker, write=True)
        kept.append(campaign(until, given.seed, given.minutes is not None))
    sys.exit(not all(kept))


if __name__ == "__main__":
    main()
