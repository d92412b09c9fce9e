"""What is done to a cluster: a broker killed or held, and brought back."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from bus.errors import BusUnavailable
from ops.kafka import Cluster
from ops.kafka.process import KafkaBroker
from ops.torture.rounds import Fault, Round, Target

SESSION = 3.0
"""Seconds after which these clusters take a broker that is silent for gone."""

QUICK: Mapping[str, str] = {
    "broker.session.timeout.ms": str(int(SESSION * 1000)),  # 9 s by default
    "broker.heartbeat.interval.ms": "500",  # 2 s
    "replica.lag.time.max.ms": "3000",  # 30 s
    "replica.socket.timeout.ms": "3000",  # 30 s
}
"""Kafka's defaults for machines far apart, shortened so that a round takes seconds."""

PAUSE = 2 * SESSION
"""Seconds that a broker is held at the least: it is taken for gone, and does not know it."""

WHOLE_SECONDS = 60.0
"""How long a cluster may take until all replicas are in sync again."""

PAUSE_BETWEEN_LOOKS = 0.1
"""Seconds."""


NOBODY = -1
"""The leader of a partition that has none."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Who leads the partitions under load, and how many of all have a replica out of sync."""

    leaders: tuple[int, ...]
    behind: int

    @property
    def led(self) -> bool:
        """Whether every partition under load has a leader."""
        return min(self.leaders, default=NOBODY) > NOBODY


class Nemesis:
    """Does faults to a cluster.

    Args:
        cluster: three brokers.
        topics: the topics under load.
        choose: settles which broker it is where that is left open.
        look: returns how these brokers and topics stand.
    """

    def __init__(
        self,
        cluster: Cluster,
        topics: Collection[str],
        choose: random.Random,
        look: Callable[[str, Collection[str]], Layout] | None = None,
    ) -> None:
        self._cluster, self._topics, self._choose = cluster, topics, choose
        self._look = look or layout

    async def strike(self, round_: Round, served: Callable[[], Awaitable[None]]) -> int:
        """Do a fault, wait until the service goes on without the broker, and bring it back.

        Args:
            round_: which fault.
            served: returns once the service goes on.

        Returns:
            The broker's number.

        Raises:
            BusUnavailable, TimeoutError: nobody leads what is to be struck, or as for `whole`.
        """
        broker = await self._target(round_.target)
        if round_.fault is Fault.KILL:
            broker.kill()
            try:
                await served()
            finally:
                broker.start()
        else:
            broker.pause()
            try:
                await asyncio.gather(served(), asyncio.sleep(PAUSE))
            finally:
                broker.resume()
        await self.whole()
        return broker.id

    async def whole(self) -> None:
        """Return once every broker is there and every replica in sync.

        Raises:
            BusUnavailable: a broker ended or does not answer.
            TimeoutError: replicas stay behind.
        """
        await self._cluster.ready()
        await self._once(lambda layout: layout.led and not layout.behind)

    async def _once(self, wanted: Callable[[Layout], bool]) -> Layout:
        """Return the layout once it is as wanted; nobody announces it.

        Raises:
            TimeoutError: it does not become so; it comes of the last `BusUnavailable`, if any.
        """
        clock = asyncio.get_running_loop().time
        until, trouble = clock() + WHOLE_SECONDS, None
        while clock() < until:
            try:
                found = await asyncio.to_thread(self._look, self._cluster.bootstrap, self._topics)
            except BusUnavailable as error:  # a cluster that has lost a broker is asked again
                trouble = error
            else:
                if wanted(found):
                    return found
            await asyncio.sleep(PAUSE_BETWEEN_LOOKS)
        raise TimeoutError(f"replicas or leaders were missing for {WHOLE_SECONDS:g} s") from trouble

    async def _target(self, target: Target) -> KafkaBroker:
        brokers = {one.id: one for one in self._cluster.brokers}
        match target:
            case Target.LEADER:
                leaders = (await self._once(lambda layout: layout.led)).leaders
                return brokers[self._choose.choice(leaders)]
            case Target.CONTROLLER:
                return brokers[await self._cluster.controller()]
            case Target.RANDOM:
                return self._choose.choice(self._cluster.brokers)


def layout(bootstrap: str, topics: Collection[str]) -> Layout:
    """Return who leads what, as a cluster's brokers know it.

    Args:
        bootstrap: the brokers.
        topics: whose leaders are of interest.

    Raises:
        BusUnavailable: no broker says.
    """
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        known = client.list_topics(timeout=5.0).topics
    except KafkaException as error:
        raise BusUnavailable(f"no broker tells who leads: {error}", where=bootstrap) from error
    parts = [(name, part) for name, topic in known.items() for part in topic.partitions.values()]
    return Layout(
        tuple(part.leader for name, part in parts if name in topics),
        sum(len(part.isrs) < len(part.replicas) or part.leader <= NOBODY for _, part in parts),
    )
