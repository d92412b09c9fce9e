"""Brokers of three killed and held under load; nothing acknowledged may be lost, or done twice."""

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bus.settings import Settings
from bus.settings import load as configured
from ops.kafka import Cluster
from ops.node import NodeProcess
from ops.torture.judgement import (
    Breach,
    Row,
    by_key,
    effects,
    longest_gap,
    reading,
    repeats,
)
from ops.torture.load import STALLED, TOPIC, Account, Load, load
from ops.torture.nemesis import Nemesis
from ops.torture.observers import AddressBook, in_topic
from ops.torture.rounds import Round, plan

ANSWER = "3"
"""Seconds that clients leave a broker for an answer; the brokers' own limits are shortened too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """One round as it went.

    Args:
        round: which fault.
        broker: whom it befell.
        without: the longest time in which a partition took no event, in seconds.
    """

    round: Round
    broker: int
    without: float

    def __str__(self) -> str:
        return f"{self.round} (broker {self.broker}): {self.without:.1f} s without service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a campaign found.

    Args:
        rounds: its faults.
        acknowledged: events that the publisher got a receipt for.
        again: events that lie in the topic more than once, as their first answer was lost.
        repeats: deliveries to a handler that had been there before.
        refused: calls of the publisher that raised a retriable error.
        breaches: promises that were not kept.
    """

    rounds: tuple[Struck, ...]
    acknowledged: int
    again: int
    repeats: int
    refused: int
    breaches: tuple[Breach, ...]

    def __str__(self) -> str:
        gaps = [struck.without for struck in self.rounds]
        return (
            f"{len(gaps)} rounds, {self.acknowledged} acknowledged, "
            f"{self.again} twice in the topic, {self.repeats} repeats to handlers, "
            f"{self.refused} calls refused, longest time without service {max(gaps):.1f} s, "
            f"{len(self.breaches)} promises broken"
        )


@asynccontextmanager
async def bus_on(cluster: Cluster, data: Path) -> AsyncIterator[Settings]:
    """Run the registry on a cluster for the time of a block; return where both are."""
    node = NodeProcess(data / "node", "--kafka", cluster.bootstrap, "--roles", "registry")
    await asyncio.to_thread(node.start)
    try:
        yield configured(
            {
                "kafka.bootstrap": cluster.bootstrap,
                "kafka.answer_seconds": ANSWER,
                "registry.url": node.ready["registry"],
            }
        )
    finally:
        await asyncio.to_thread(node.stop)


class Campaign:
    """Faults to a cluster under load, one after the other.

    Args:
        cluster: three brokers.
        data: an empty folder.
        seed: settles faults and load.
    """

    def __init__(self, cluster: Cluster, data: Path, seed: int) -> None:
        self._cluster, self._data, self._seed = cluster, data, seed
        self._nemesis = Nemesis(cluster, TOPIC, random.Random(seed))
        self._struck: list[Struck] = []

    async def run(
        self,
        rounds: int,
        *,
        until: float = math.inf,
        say: Callable[[Struck], None] = lambda _: None,
    ) -> Outcome:
        """Do so many rounds, and judge what came of them.

        Args:
            rounds: how many, at the most.
            until: the time of the monotonic clock after which no other round begins.
            say: told of each round.

        Raises:
            TimeoutError: nothing went on for `STALLED` seconds.
            BusError: somebody ended who should be at work.
        """
        async with bus_on(self._cluster, self._data) as settings:
            book = AddressBook(settings, self._data)
            async with book.running(), load(settings, self._seed) as running:
                for round_ in islice(plan(self._seed), rounds):
                    if time.monotonic() > until:
                        break
                    self._struck.append(await self._round(round_, running, book))
                    say(self._struck[-1])
                await running.end()
                await _read_to_the_end(running, book)
            topic = await in_topic(settings, TOPIC)
        return self._judged(running.account, topic, book.rows())

    async def _round(self, round_: Round, running: Load, book: AddressBook) -> Struck:
        clock = asyncio.get_running_loop().time
        await running.served()
        since = clock()
        broker = await self._nemesis.strike(round_, running.served)
        book.check()
        moments = running.account.moments.values()
        without = max(longest_gap(one, since, clock()) for one in moments)
        return Struck(round=round_, broker=broker, without=without)

    def _judged(
        self, account: Account, topic: Mapping[str, Sequence[str]], rows: Mapping[str, Row]
    ) -> Outcome:
        count, repeated = repeats("handler", account.deliveries)
        sent = account.acknowledged
        return Outcome(
            rounds=tuple(self._struck),
            acknowledged=len(account.ids),
            again=sum(len(ids) - len(set(ids)) for ids in topic.values()),
            repeats=count,
            refused=len(account.errors),
            breaches=(
                *reading("topic", sent, topic),
                *reading("handler", sent, by_key(account.deliveries)),
                *repeated,
                *effects("address book", sent, rows),
            ),
        )


async def _read_to_the_end(running: Load, book: AddressBook) -> None:
    """Return once all that was acknowledged was read, or nothing goes on any more."""
    ids = running.account.ids
    clock = asyncio.get_running_loop().time
    progress, since = 0, clock()
    while not (ids <= running.account.seen and ids <= book.ids):
        running.check()
        book.check()
        seen = len(running.account.seen) + len(book.ids)
        if seen != progress:
            progress, since = seen, clock()
        if clock() - since > STALLED:
            return  # what is missing is judged
        await asyncio.sleep(0.05)
