"""Brokers of three killed and held under load; nothing acknowledged may be lost, or done twice."""

import asyncio
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bus.errors import BusUnavailable
from bus.journal.journal import TOPIC as JOURNAL
from ops.kafka import Cluster
from ops.torture.judgement import longest_gap
from ops.torture.load import TOPIC
from ops.torture.nemesis import Nemesis
from ops.torture.rounds import Round, plan
from ops.torture.scene import Findings, Scene, under_load

IMPATIENCE = 8.0
"""Seconds that a publisher tries while two of three brokers are down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """One round as it went.

    Args:
        round: which fault.
        broker: whom it befell.
        events: the longest time in which a partition took no event, in seconds.
        journal: the longest time in which the journal took no entry, in seconds.
    """

    round: Round
    broker: int
    events: float
    journal: float

    def __str__(self) -> str:
        return (
            f"{self.round} (broker {self.broker}): "
            f"without service {self.events:.1f} s, the journal {self.journal:.1f} s"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a campaign found.

    Args:
        planned: how many faults it was to have.
        rounds: those that it had.
        findings: what came of them.
    """

    planned: int
    rounds: tuple[Struck, ...]
    findings: Findings

    @property
    def kept(self) -> bool:
        """Whether anything was tried, and all promises were kept."""
        return bool(self.rounds) and not self.findings.breaches

    def __str__(self) -> str:
        events = max((struck.events for struck in self.rounds), default=0.0)
        journal = max((struck.journal for struck in self.rounds), default=0.0)
        return (
            f"{len(self.rounds)} of {self.planned} rounds, "
            f"without service at the longest {events:.1f} s, the journal {journal:.1f} s; "
            f"{self.findings}"
        )


async def failover(
    cluster: Cluster,
    data: Path,
    *,
    rounds: int,
    seed: int,
    until: float = math.inf,
    say: Callable[[Struck], None] = lambda _: None,
) -> Outcome:
    """Do faults to a cluster under load, one after the other, and judge what came of them.

    Args:
        cluster: three brokers.
        data: an empty folder for what programs keep.
        rounds: how many, at the most.
        seed: settles faults and load.
        until: the time of the monotonic clock after which no other round begins.
        say: told of each round.

    Raises:
        TimeoutError: nothing went on for `ops.torture.load.STALLED` seconds.
        BusError: somebody ended who should be at work.
    """
    nemesis = Nemesis(cluster, (TOPIC, JOURNAL), random.Random(seed))
    struck: list[Struck] = []
    async with under_load(cluster, data, seed) as scene:
        for round_ in islice(plan(seed), rounds):
            if time.monotonic() > until:
                break
            struck.append(await _round(nemesis, round_, scene))
            say(struck[-1])
        findings = await scene.judged()
    return Outcome(planned=rounds, rounds=tuple(struck), findings=findings)


async def _round(nemesis: Nemesis, round_: Round, scene: Scene) -> Struck:
    clock = asyncio.get_running_loop().time

    async def served() -> None:
        # Partitions change hands while the broker is away, and the address book, killed in the
        # middle of its work, reads on from what it knows itself: the group's position is older.
        await asyncio.gather(
            scene.served(), scene.load.witnesses.replace(), scene.book.killed_and_started()
        )

    await scene.served()
    since = clock()
    broker = await nemesis.strike(round_, served)
    scene.check()
    return Struck(
        round=round_,
        broker=broker,
        events=max(
            longest_gap(moments, since, clock()) for moments in scene.load.account.moments.values()
        ),
        journal=longest_gap(scene.writers.moments, since, clock()),
    )


async def outage(
    cluster: Cluster, data: Path, *, seed: int
) -> tuple[list[BusUnavailable], Findings]:
    """Kill two of three brokers at once, let publishing fail in every partition, and start them.

    Returns:
        What publishing raised while they were down, and what came of it all.

    Raises:
        TimeoutError, BusError: as for `failover`.
    """
    nemesis = Nemesis(cluster, (TOPIC, JOURNAL), random.Random(seed))
    async with under_load(cluster, data, seed, deadline=IMPATIENCE) as scene:
        account = scene.load.account
        await scene.served()
        before = len(account.errors)
        down = random.Random(seed).sample(cluster.brokers, 2)
        for broker in down:
            broker.kill()
        await scene.load.refused()
        raised = account.errors[before:]
        for broker in down:
            broker.start()
        await nemesis.whole()
        await scene.served()
        return raised, await scene.judged()
