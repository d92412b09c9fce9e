"""A bus on a cluster, with everybody at work on it; and what became of what they did."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bus.errors import BusError, BusUnavailable, NotFound
from bus.schemas import SchemaClient
from bus.settings import Settings
from bus.settings import load as configured
from ops.kafka import Cluster
from ops.node import NodeProcess
from ops.torture import stall
from ops.torture.judgement import (
    Breach,
    Ids,
    Promise,
    by_key,
    chain,
    effects,
    reading,
    repeats,
)
from ops.torture.load import TOPIC, Load, load
from ops.torture.observers import AddressBook, in_topic
from ops.torture.writers import Writers, writing

UNKNOWN = "nobody.knows-this.v1"
"""A topic without a contract: that there is none, the registry cannot say from memory."""

ANSWER = "3"
"""Seconds that clients leave a broker for an answer; the brokers' own limits are shortened too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What came of a campaign.

    Args:
        acknowledged: events that the publisher got a receipt for.
        again: events that lie in the topic more than once, as their first answer was lost.
        repeats: deliveries to a handler of what had reached one before.
        refused: calls of the publisher that raised a retriable error.
        entries: entries of the journal that their writers were told are in.
        unknown: how often a writer of the journal was left without knowing.
        breaches: promises that were not kept.
    """

    acknowledged: int
    again: int
    repeats: int
    refused: int
    entries: int
    unknown: int
    breaches: tuple[Breach, ...]

    def __str__(self) -> str:
        return (
            f"{self.acknowledged} events acknowledged, {self.again} twice in the topic, "
            f"{self.repeats} repeated to handlers, {self.refused} calls refused, "
            f"{self.entries} entries in the journal, {self.unknown} outcomes unknown, "
            f"{len(self.breaches)} promises broken"
        )


@dataclass(frozen=True, slots=True)
class Scene:
    """Everybody at work."""

    settings: Settings
    load: Load
    book: AddressBook
    writers: Writers

    async def served(self) -> None:
        """Return once events, journal and registry go on.

        Raises:
            Stalled: some do not in time; it says what.
        """
        await stall.together(self.load.served(), self.writers.served(), self._registry_served())

    async def _registry_served(self) -> None:
        """Return once the registry says what it can say only after reading the newest entry."""
        said = "nothing"
        with suppress(TimeoutError):
            async with asyncio.timeout(stall.SECONDS):
                while True:
                    async with SchemaClient(self.settings.registry.url) as registry:
                        try:
                            await registry.contract(UNKNOWN)
                        except NotFound:
                            return
                        except BusUnavailable as error:
                            said = str(error)
                    await asyncio.sleep(0.1)
        raise stall.Stalled([f"the registry does not know the newest entry; it says: {said}"])

    def check(self) -> None:
        """Raise what ended somebody who should be at work."""
        self.load.check()
        self.book.check()
        self.writers.check()

    async def judged(self) -> Findings:
        """Stop publishing, let everybody read what is there, and judge what they saw.

        Raises:
            BusError, Stalled: the topic or the journal cannot be read, or nobody can publish.
        """
        endless = await self.load.end()
        account, sent = self.load.account, self.load.account.acknowledged
        topic = await in_topic(self.settings, TOPIC)
        there = {id_ for ids in topic.values() for id_ in ids}
        ended = await self._read_to_the_end(topic)
        readers = await self.writers.end()
        count, repeated = repeats("handler", account.deliveries)
        return Findings(
            acknowledged=len(account.ids),
            again=sum(len(ids) - len(set(ids)) for ids in topic.values()),
            repeats=count,
            refused=len(account.errors),
            entries=len(self.writers.accepted),
            unknown=self.writers.unknown,
            breaches=(
                *endless,
                *ended,
                *reading("topic", sent, topic),
                *reading("handler", sent, by_key(account.deliveries), there),
                *repeated,
                *effects("address book", sent, self.book.states(), there),
                *chain("journal", self.writers.accepted, readers),
            ),
        )

    async def _read_to_the_end(self, topic: Ids) -> list[Breach]:
        """Return once all that is in the topic was read, or nothing goes on any more.

        What was acknowledged and is not there would be waited for in vain; what is there and was
        not read is judged. Somebody who ends meanwhile is a breach, and those are returned.
        """
        account, clock = self.load.account, asyncio.get_running_loop().time
        there = {id_ for ids in topic.values() for id_ in ids}
        sent = {
            key: [one for one in ids if one in there] for key, ids in account.acknowledged.items()
        }
        ids, last = account.ids & there, {key: ids[-1] for key, ids in sent.items() if ids}
        progress, since = (0, dict[str, str]()), clock()
        while not (ids <= account.seen and last == self.book.last()):
            try:
                self.check()
            except BusError as error:
                return [Breach(promise=Promise.ENDED, place=type(error).__name__, what=str(error))]
            seen = (len(account.seen), self.book.last())
            if seen != progress:
                progress, since = seen, clock()
            if clock() - since > stall.SECONDS:
                break
            await asyncio.sleep(0.05)
        return []


@asynccontextmanager
async def bus_on(cluster: Cluster, data: Path) -> AsyncIterator[Settings]:
    """Run the registry on a cluster for the time of a block; return where both are."""
    node = NodeProcess(data / "node", "--kafka", cluster.bootstrap, "--roles", "registry")
    node.start()
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


@asynccontextmanager
async def under_load(
    cluster: Cluster, data: Path, seed: int, *, deadline: float = 30.0
) -> AsyncIterator[Scene]:
    """Publish and read on a cluster for the time of a block.

    Args:
        cluster: three brokers.
        data: an empty folder.
        seed: settles what is published when.
        deadline: seconds that a call of the publisher tries.
    """
    async with bus_on(cluster, data) as settings:
        book = AddressBook(settings, data)
        async with (
            book.running(),
            load(settings, seed, deadline=deadline) as publishing,
            writing(settings.kafka, seed) as writers,
        ):
            yield Scene(settings, publishing, book, writers)
