"""Brokers of three killed and held under load; nothing acknowledged may be lost, or done twice."""

import asyncio
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from bus.errors import BusError, BusUnavailable
from bus.journal import TOPIC as JOURNAL
from ops.kafka import Cluster
from ops.torture import stall
from ops.torture.judgement import longest_gap
from ops.torture.load import PARTITIONS, TOPIC
from ops.torture.nemesis import Nemesis
from ops.torture.rounds import Round, plan
from ops.torture.scene import Findings, Scene, under_load

IMPATIENCE = 8.0
"""Seconds that a publisher tries while two of three brokers are down."""


class Without(NamedTuple):
    """The longest times without service, in seconds.

    Args:
        events: in which a partition took no event.
        journal: in which the journal took no entry.
    """

    events: float
    journal: float

    def __str__(self) -> str:
        return f"without service {self.events:.1f} s, the journal {self.journal:.1f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """One round as it went.

    Args:
        round: which fault.
        broker: whom it befell.
        without: the times without service.
    """

    round: Round
    broker: int
    without: Without

    def __str__(self) -> str:
        return f"{self.round} (broker {self.broker}): {self.without}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenOff:
    """A round that did not come to its end.

    Args:
        round: which fault it was to have.
        why: what stalled or ended.
        without: the times without service until it was given up.
    """

    round: Round
    why: str
    without: Without

    def __str__(self) -> str:
        return f"{self.round}: broken off: {self.why}; {self.without}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a campaign found.

    Args:
        planned: how many faults it was to have.
        enough: how many are enough, if the time is over before.
        rounds: those that it had.
        broken_off: the round that ended it, if one did.
        findings: what came of them.
    """

    planned: int
    enough: int
    rounds: tuple[Struck, ...]
    broken_off: BrokenOff | None = None
    findings: Findings

    @property
    def kept(self) -> bool:
        """Whether enough was tried, nothing stalled, and all promises were kept."""
        return (
            len(self.rounds) >= self.enough
            and self.broken_off is None
            and not self.findings.breaches
        )

    @property
    def without(self) -> Without:
        """The longest times without service of all rounds."""
        every = [one.without for one in (*self.rounds, self.broken_off) if one is not None]
        return Without(
            max((one.events for one in every), default=0.0),
            max((one.journal for one in every), default=0.0),
        )

    def __str__(self) -> str:
        done = f"{len(self.rounds)} of {self.planned} rounds"
        if self.broken_off is not None:
            done = f"broken off after {done}"
        elif len(self.rounds) < self.planned:
            done = f"the time was over after {done}"
        return f"{done}; at the longest {self.without}; {self.findings}"


async def failover(
    cluster: Cluster,
    data: Path,
    *,
    rounds: int,
    seed: int,
    enough: int | None = None,
    until: float = math.inf,
    say: Callable[[Struck | BrokenOff], None] = lambda _: None,
) -> Outcome:
    """Do faults to a cluster under load, one after the other, and judge what came of them.

    Where something stalls, or somebody ends, it is broken off there, and judged all the same.

    Args:
        cluster: three brokers.
        data: an empty folder for what programs keep.
        rounds: how many, at the most.
        seed: settles faults and load.
        enough: how many rounds are enough if the time is over before; all if not given.
        until: the time of the monotonic clock after which no other round begins.
        say: told of each round.

    Raises:
        TimeoutError, BusError: what was published cannot be read, so that nothing can be judged.
    """
    nemesis = Nemesis(cluster, (TOPIC, JOURNAL), random.Random(seed))
    struck: list[Struck] = []
    broken_off = None
    async with under_load(cluster, data, seed) as scene:
        for round_ in islice(plan(seed), rounds):
            if time.monotonic() > until:
                break
            done = await _round(nemesis, round_, scene)
            say(done)
            if isinstance(done, BrokenOff):
                broken_off = done
                break
            struck.append(done)
        findings = await scene.judged()
    return Outcome(
        planned=rounds,
        enough=rounds if enough is None else enough,
        rounds=tuple(struck),
        broken_off=broken_off,
        findings=findings,
    )


async def _round(nemesis: Nemesis, round_: Round, scene: Scene) -> Struck | BrokenOff:
    """Do one round, and say how it went."""
    clock = asyncio.get_running_loop().time
    since = clock()

    def without() -> Without:
        moments = scene.load.account.moments
        return Without(
            max(longest_gap(moments[part], since, clock()) for part in range(PARTITIONS)),
            longest_gap(scene.writers.moments, since, clock()),
        )

    try:
        await scene.served()
        since = clock()
        broker = await _struck(nemesis, round_, scene)
    except (TimeoutError, BusError) as error:
        return BrokenOff(round=round_, why=f"{type(error).__name__}: {error}", without=without())
    return Struck(round=round_, broker=broker, without=without())


async def _struck(nemesis: Nemesis, round_: Round, scene: Scene) -> int:
    """Strike a broker while everybody is at work; return which one."""

    async def served() -> None:
        # Partitions change hands while the broker is away, and the address book, killed in the
        # middle of its work, reads on from what it knows itself: the group's position is older.
        await stall.together(
            scene.served(), scene.load.witnesses.replace(), scene.book.killed_and_started()
        )

    broker = await nemesis.strike(round_, served)
    scene.check()
    return broker


async def outage(
    cluster: Cluster, data: Path, *, seed: int
) -> tuple[list[BusUnavailable], Findings]:
    """Kill two of three brokers at once, let publishing fail in every partition, and start them.

    Returns:
        What publishing raised while they were down, and what came of it all.

    Raises:
        TimeoutError: nothing went on for `ops.torture.stall.SECONDS` seconds.
        BusError: somebody ended who should be at work.
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
