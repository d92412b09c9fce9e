"""`make torture`: long campaigns, by name or all.

    python -m ops.torture [NAME] [--minutes M] [--seed N]

Each campaign ends by itself after its time and prints what it did. The exit code is 1 if a promise
was broken, or the time was too short to try anything.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bus.errors import BusError
from ops.kafka import cluster
from ops.torture import failover as brokers
from ops.torture.kill import kill_campaign
from ops.torture.nemesis import QUICK

KILLS = 20
"""Kills of one round; each round begins with an empty folder."""


def kill(until: float, seed: int) -> bool:
    """Kill the node in the middle of the stream until the time is over."""
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
    return whole


FAILOVERS = 100
"""Rounds of the failover campaign."""


def failover(until: float, seed: int) -> bool:
    """Kill and hold brokers of three under load, until the rounds or the time are over."""
    try:
        outcome = asyncio.run(_failover(until, seed))
    except (BusError, TimeoutError) as error:
        print(f"failover: {type(error).__name__}: {error}")
        return False
    for breach in outcome.findings.breaches:
        print(f"failover: broken: {breach}")
    print(f"failover: {outcome}")
    return outcome.kept


async def _failover(until: float, seed: int) -> brokers.Outcome:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        (work := data / "work").mkdir()
        async with cluster(data / "kafka", brokers=3, configs=QUICK) as running:
            return await brokers.failover(
                running,
                work,
                rounds=FAILOVERS,
                seed=seed,
                until=until,
                say=lambda struck: print(f"failover: {struck}", flush=True),
            )


CAMPAIGNS: dict[str, tuple[Callable[[float, int], bool], float]] = {
    "kill": (kill, 20),
    "failover": (failover, 60),
}
"""Each campaign, and the minutes that it takes at the most."""


def main() -> None:
    """Run campaigns; exit with 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description="long campaigns that break things on purpose")
    parser.add_argument("name", nargs="?", choices=CAMPAIGNS, help="one campaign; all if not given")
    parser.add_argument(
        "--minutes", type=float, help="longest time of each campaign [kill 20, failover 60]"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    given = parser.parse_args()
    names = [given.name] if given.name else list(CAMPAIGNS)
    kept = []
    for name in names:
        campaign, usual = CAMPAIGNS[name]
        minutes = usual if given.minutes is None else given.minutes
        print(f"{name}: seed {given.seed}, {minutes:g} minutes", flush=True)
        kept.append(campaign(time.monotonic() + minutes * 60, given.seed))
    sys.exit(not all(kept))


if __name__ == "__main__":
    main()
