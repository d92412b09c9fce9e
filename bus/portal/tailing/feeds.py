"""A feed for each topic that somebody follows, and no longer than somebody does."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from bus.errors import BusUnavailable
from bus.portal.tailing.decoding import Registry
from bus.portal.tailing.feed import Feed
from bus.portal.tailing.follower import Follower
from bus.settings import KafkaSettings

MOST = 20
"""Topics that are followed at a time."""

LINGER = 30.0
"""Seconds for which a topic is read on after the last one has gone: most come back."""

READING = 3.0
"""Seconds within which a page's first events have to be read."""


class Feeds:
    """All feeds; to be used in one event loop.

    Args:
        kafka: how to reach the engine.
        registry: where contracts come from.
    """

    def __init__(self, kafka: KafkaSettings, registry: Registry) -> None:
        self._kafka, self._registry = kafka, registry
        self._feeds: dict[str, asyncio.Task[Feed]] = {}
        self._closing: dict[str, asyncio.TimerHandle] = {}
        self._ended: set[asyncio.Task[None]] = set()

    async def join(
        self, topic: str, follower: Follower, wanted: Mapping[int, int], *, whole: bool = False
    ) -> None:
        """Have somebody follow a topic.

        Args:
            topic: the topic.
            follower: who.
            wanted: where to go on, by partition.
            whole: wait until what is there has been read, for a short time.

        Raises:
            NotFound: there is no such topic.
            BusUnavailable: the engine cannot be reached, or too many topics are followed already.
            BusError: the topic cannot be read.
        """
        if (closing := self._closing.pop(topic, None)) is not None:
            closing.cancel()
        feed = await self._feed(topic, wanted)
        feed.join(follower, wanted)
        if whole:
            with suppress(TimeoutError):
                await asyncio.wait_for(feed.caught_up.wait(), READING)

    async def leave(self, topic: str, follower: Follower) -> None:
        """Let somebody go."""
        opening = self._feeds.get(topic)
        if opening is None:
            return
        await asyncio.wait([opening])
        if self._feeds.get(topic) is not opening:
            return  # it could not be read
        feed = opening.result()
        feed.followers.pop(follower, None)
        if not feed.followers and topic not in self._closing:
            later = asyncio.get_running_loop().call_later
            self._closing[topic] = later(LINGER, self._close, topic)

    async def close(self) -> None:
        """Read no more."""
        for topic in list(self._feeds):
            self._close(topic)
        if self._ended:
            await asyncio.wait(self._ended)

    async def _feed(self, topic: str, wanted: Mapping[int, int]) -> Feed:
        if topic not in self._feeds:
            self._make_room(topic)
            self._feeds[topic] = asyncio.create_task(self._opened(topic, wanted))
        return await asyncio.shield(self._feeds[topic])

    async def _opened(self, topic: str, wanted: Mapping[int, int]) -> Feed:
        feed = Feed(topic, self._kafka, self._registry)
        try:
            await feed.open(wanted)
        except BaseException:
            del self._feeds[topic]
            await feed.close()
            raise
        return feed

    def _make_room(self, topic: str) -> None:
        if len(self._feeds) >= MOST and self._closing:
            self._close(next(iter(self._closing)))
        if len(self._feeds) >= MOST:
            raise BusUnavailable(
                f"{MOST} topics are followed already",
                where=topic,
                remedy="come back when somebody has stopped",
            )

    def _close(self, topic: str) -> None:
        if (closing := self._closing.pop(topic, None)) is not None:
            closing.cancel()
        ending = asyncio.create_task(_closed(self._feeds.pop(topic)))
        self._ended.add(ending)
        ending.add_done_callback(self._ended.discard)


async def _closed(opening: asyncio.Task[Feed]) -> None:
    await asyncio.wait([opening])
    if not opening.cancelled() and opening.exception() is None:
        await opening.result().close()
