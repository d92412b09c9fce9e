"""Publishes what a source still has, in order and at a pace, until it is empty or told to stop."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from bus.cli.edge import say
from bus.errors import BusError
from bus.event import Draft
from bus.publisher import Publisher, Receipt
from bus.settings import Settings
from producers.pacing import wait_until
from producers.progress import Progress

DEADLINE = 3.0
"""Seconds that one call tries; a program that is asked to stop waits no longer than this."""

FIRST_WAIT = 0.2
LONGEST_WAIT = 5.0


@asynccontextmanager
async def connected(
    system: str, settings: Settings, topic: str, wait: float, stop: asyncio.Event
) -> AsyncIterator[Publisher]:
    """Give a publisher that has reached both the engine and the contract of a topic.

    Args:
        system: who publishes.
        settings: where the bus is.
        topic: the contract's topic.
        wait: seconds that a bus is waited for that is not there yet.
        stop: set when the program is asked to stop.

    Raises:
        BusError: one of them cannot be reached, or there is no such contract.
    """
    async with AsyncExitStack() as opened:
        yield await _reach_within(opened, system, settings, topic, wait, stop)


async def _reach_within(
    opened: AsyncExitStack,
    system: str,
    settings: Settings,
    topic: str,
    wait: float,
    stop: asyncio.Event,
) -> Publisher:
    clock = asyncio.get_running_loop().time
    end, pause = clock() + wait, FIRST_WAIT
    while True:
        try:
            return await _reach(opened, system, settings, topic)
        except BusError as error:
            if not error.retriable or stop.is_set() or clock() + pause > end:
                raise
            say(f"the bus is not there yet ({error.what}); trying again in {pause:.1f} s")
        await wait_until(stop, clock() + pause)
        pause = min(2 * pause, LONGEST_WAIT)


async def _reach(opened: AsyncExitStack, system: str, settings: Settings, topic: str) -> Publisher:
    attempt = AsyncExitStack()
    try:
        publisher = await attempt.enter_async_context(
            Publisher(system, settings, deadline=DEADLINE)
        )
        await publisher.publish_many(topic, ())
    except BaseException:
        await attempt.aclose()
        raise
    opened.push_async_exit(attempt)
    return publisher


class Source(Protocol):
    """Where events come from, and where it is kept that they are out."""

    def take(self, most: int) -> Sequence[Draft]:
        """Return the next events, each under an id of its own; none at the end."""

    def settle(self) -> None:
        """Keep that the bus has acknowledged what was taken last."""


class Pacing(Protocol):
    """When to publish how many."""

    @property
    def size(self) -> int:
        """Events in a batch, at the most."""

    def due(self, batch: int) -> float:
        """Return when a batch is due, in seconds after the first; the first is number 0."""


class Bulk(Protocol):
    """The part of a publisher that is needed here."""

    async def publish_many(self, topic: str, events: Sequence[Draft]) -> list[Receipt]:
        """Publish events and return their receipts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A source on its way to a topic.

    Args:
        topic: where the events go.
        source: where they come from.
        pace: how fast.
        limit: events in all; every one there is if None.
        patience: seconds that an unreachable bus is waited for.
    """

    topic: str
    source: Source
    pace: Pacing
    limit: int | None
    patience: float

    async def run(self, bulk: Bulk, stop: asyncio.Event, progress: Progress) -> bool:
        """Publish until the source is empty, the limit is reached, or `stop` is set.

        Returns whether the source was found empty.

        What is under way when `stop` is set is still acknowledged and settled.

        Raises:
            BusError: the bus refused an event, or stayed away for longer than its patience.
        """
        start = asyncio.get_running_loop().time()
        batch = 0
        while True:
            await wait_until(stop, start + self.pace.due(batch))
            room = self.pace.size
            if self.limit is not None:
                room = min(room, self.limit - progress.published)
            if stop.is_set() or room <= 0:
                return False
            if not (drafts := self.source.take(room)):
                return True
            progress.sent(len(drafts))
            receipts = await self._insist(bulk, drafts, stop)
            self.source.settle()
            progress.receipts(self.topic, [receipt.id for receipt in receipts])
            batch += 1

    async def _insist(
        self, bulk: Bulk, drafts: Sequence[Draft], stop: asyncio.Event
    ) -> list[Receipt]:
        """Publish again, under the same ids, while the bus is away for a while."""
        clock = asyncio.get_running_loop().time
        end, wait = clock() + self.patience, FIRST_WAIT
        while True:
            try:
                return await bulk.publish_many(self.topic, drafts)
            except BusError as error:
                if not error.retriable or stop.is_set() or clock() + wait > end:
                    raise
                say(f"the bus is away ({error.what}); trying again in {wait:.1f} s")
            await wait_until(stop, clock() + wait)
            wait = min(2 * wait, LONGEST_WAIT)
