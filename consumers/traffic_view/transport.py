"""Faust's way to the engine, past what its client cannot read.

aiokafka raises for good on one odd record (DESIGN.md, "What has bitten us"), and Faust gives up
then: anybody who may publish could keep the view from ever starting again. Here what lies there is
taken in by our own reader, and Faust goes on behind it.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from faust.transport.drivers import aiokafka
from faust.types import TP

from bus.errors import BusUnavailable

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds until it is tried again where the engine is away, or the state not recovered yet."""

ReadOn = Callable[[Iterable[int]], Awaitable[Mapping[int, int]]]
"""Takes in what partitions hold, and returns the offset that follows, by partition."""


class Consumer(aiokafka.Consumer):
    """Faust's consumer, which outlives what it cannot read."""

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        asked = set(active_partitions or ())  # Faust's own set changes while it waits
        try:
            return await super()._getmany(asked, timeout)
        except self.consumer_stopped_errors:
            raise
        except Exception as error:  # the bytes may be anything, and so may what is raised for them
            places = self._sources(asked)
            if not places:
                raise  # it is the changelog that cannot be read
            log.warning("Faust cannot read what it was sent, and is led past it: %r", error)
            if not await self._led_past(places):
                await self.sleep(PAUSE)
            return {}

    async def keep(self, positions: Mapping[int, int]) -> None:
        """Commit positions, by partition, where they are ahead of what Faust has committed.

        Faust never commits past what it has left out until it hands over something behind it.
        """
        ahead = {
            place: positions[place.partition]
            for place in self._sources(self.assignment())
            if positions.get(place.partition, 0) > (self._committed_offset[place] or 0)
        }
        if ahead:
            await self._commit_offsets(ahead)

    async def _led_past(self, places: set[TP]) -> bool:
        """Take in what partitions hold, and go on behind it; False if that cannot be done yet."""
        transport = self.transport
        if not isinstance(transport, Transport):
            raise TypeError(f"{transport!r} is not the transport of this consumer")
        try:
            following = await transport.read_on(place.partition for place in places)
        except BusUnavailable as error:
            log.warning("it is led past it later: %s", error)
            return False
        found = {place for place in places if place.partition in following}
        await self.seek_wait({place: following[place.partition] for place in found})
        return bool(found)

    def _sources(self, places: Iterable[TP]) -> set[TP]:
        return {place for place in places if not self._is_changelog_tp(place)}


class Transport(aiokafka.Transport):
    """Gives that consumer to an application; what reads on is set before it starts."""

    Consumer = Consumer
    read_on: ReadOn
