"""Kill the broker at random moments, again and again, under all kinds of load."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ops.torture.broker.account import Account
from ops.torture.broker.client import Client
from ops.torture.broker.load import TOPIC, Load, at_work
from ops.torture.broker.opened import judged, prepared, structure
from ops.torture.broker.reading import position
from ops.torture.broker.victim import Victims

BETWEEN = {"batches": 40, "positions": 40, "transactions": 4}
"""What is waited for between two kills: so many of one of these are acknowledged, at the most."""

LONGEST_DELAY = 0.02
"""Seconds, at the most, from then until the kill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a campaign found.

    Attributes:
        kills: how often the broker was killed.
        acknowledged: batches, positions and transactions that were.
        transactions: of them.
        breaches: promises that were not kept.
    """

    kills: int
    acknowledged: int
    transactions: int
    breaches: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.acknowledged} things acknowledged, {self.transactions} of "
            f"them transactions, {len(self.breaches)} promises broken"
        )


async def kills(data: Path, seed: int, count: int) -> Outcome:
    """Kill a broker so many times under load, and judge what is there in the end.

    Args:
        data: an empty folder.
        seed: settles what is written and when it is killed.
        count: how often.

    Raises:
        RuntimeError: it does not start again.
        TimeoutError: nothing was acknowledged for a minute.
        ExceptionGroup: a client was refused for good.
    """
    choose, account = random.Random(seed), Account()
    breaches: list[str] = []
    async with Victims(data) as victim:
        await prepared(lambda: victim.address)
        load = Load(lambda: victim.address, account.note, seed, committers=2)
        async with at_work(load):
            for number in range(count):
                what, most = choose.choice(list(BETWEEN.items()))
                await load.reached(what, load.done[what] + choose.randint(1, most))
                await asyncio.sleep(choose.uniform(0, LONGEST_DELAY))
                await victim.kill()
                before = dict(account.committed)
                await victim.start()
                behind = await _behind(victim, before)
                breaches += [f"seed {seed}, kill {number}: {one}" for one in behind]
        found = await judged(lambda: victim.address, account)
    breaches += [f"seed {seed}: {one}" for one in [*found, *structure(data)]]
    acknowledged = load.done.total() - load.done["refused"]
    return Outcome(
        kills=count,
        acknowledged=acknowledged,
        transactions=load.done["transactions"],
        breaches=tuple(breaches),
    )


async def _behind(victim: Victims, committed: Mapping[str, int]) -> list[str]:
    """Return a sentence for each group whose position is before what it had committed."""
    client = await Client.to(lambda: victim.address)
    try:
        there = {group: await position(client, TOPIC, group) for group in committed}
    finally:
        client.close()
    return [
        f"group {group}: {offset} was committed, {there[group]} is there"
        for group, offset in committed.items()
        if there[group] < offset
    ]
