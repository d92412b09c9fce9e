"""What is done to a cluster: a broker killed or held, and brought back."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

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


@dataclass(frozen=True, slots=True)
class Layout:
    """Who leads the partitions under load, and how many of all have a replica out of sync."""

    leaders: tuple[int, ...]
    behind: int


class Nemesis:
    """Does faults to a cluster.

    Args:
        cluster: three brokers.
        topics: the topics under load.
        choose: settles which broker it is where that is left open.
    """

    def __init__(self, cluster: Cluster, topics: Collection[str], choose: random.Random) -> None:
        self._cluster, self._topics, self._choose = cluster, topics, choose

    async def strike(self, round_: Round, served: Callable[[], Awaitable[None]]) -> int:
        """Do a fault, wait until the service goes on without the broker, and bring it back.

        Args:
            round_: which fault.
            served: returns once the service goes on.

        Returns:
            The broker's number.
        """
        broker = await self._target(round_.target)
        if round_.fault is Fault.KILL:
            broker.kill()
            await served()
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
        async with asyncio.timeout(WHOLE_SECONDS):
            while (await self.layout()).behind:  # noqa: ASYNC110  # nobody announces it
                await asyncio.sleep(0.1)

    async def layout(self) -> Layout:
        """Return who leads what, as the cluster's brokers know it."""
        return await asyncio.to_thread(self._layout)

    def _layout(self) -> Layout:
        client = AdminClient({"bootstrap.servers": self._cluster.bootstrap, "log_level": 0})
        try:
            topics = client.list_topics(timeout=5.0).topics
        except KafkaException:
            return Layout((), 1)
        parts = [
            (name, part) for name, topic in topics.items() for part in topic.partitions.values()
        ]
        return Layout(
            tuple(part.leader for name, part in parts if name in self._topics),
            sum(len(part.isrs) < len(part.replicas) or part.leader < 0 for _, part in parts),
        )

    async def _target(self, target: Target) -> KafkaBroker:
        brokers = {one.id: one for one in self._cluster.brokers}
        match target:
            case Target.LEADER:
                return brokers[self._choose.choice((await self.layout()).leaders)]
            case Target.CONTROLLER:
                return brokers[await self._cluster.controller()]
            case Target.RANDOM:
                return self._choose.choice(self._cluster.brokers)
