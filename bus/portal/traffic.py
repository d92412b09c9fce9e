"""Follows the view of traffic load for its page."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from bus.errors import BusError
from bus.settings import KafkaSettings
from bus.views.traffic import Picture, Segment, ViewReader, Window, draw, load_segments

log = logging.getLogger(__name__)

MUNICIPALITY = "053150000000"
"""Whose streets are shipped: Köln's."""

TURN = 2.0
"""Seconds between two looks at the view."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The view as it was last read.

    Args:
        picture: map and table; None: there is nothing to show yet.
        at: when the newest observation was made, in seconds since 1970; None: there is none.
        trouble: why it cannot be read; None if it can.
    """

    picture: Picture | None = None
    at: float | None = None
    trouble: BusError | None = None


class TrafficFollower:
    """Reads the view while there is one.

    Args:
        kafka: how to reach the engine.
        exists: says whether its topic was seen.
    """

    def __init__(self, kafka: KafkaSettings, exists: Callable[[], bool]) -> None:
        self._kafka, self._exists = kafka, exists
        self._segments: tuple[Segment, ...] = ()
        self._drawn: list[Window] = []
        self.latest = Traffic()

    async def run(self) -> None:
        """Follow it until cancelled."""
        while True:
            await asyncio.sleep(TURN)
            if not self._exists():
                continue
            try:
                self._segments = self._segments or load_segments()
                async with ViewReader(self._kafka) as reader:
                    await self._follow(reader)
            except BusError as error:
                log.info("the view of traffic load waits: %s", error)
                self.latest = Traffic(picture=self.latest.picture, trouble=error)

    async def _follow(self, reader: ViewReader) -> None:
        while self._exists():
            await reader.refresh()
            windows = list(reader.of(MUNICIPALITY))
            if windows != self._drawn or self.latest.trouble:
                self.latest, self._drawn = pictured(self._segments, windows), windows
            await asyncio.sleep(TURN)
        self.latest, self._drawn = Traffic(), []


def pictured(segments: tuple[Segment, ...], windows: list[Window]) -> Traffic:
    """Return map and table; ages count to the newest observation, as old data may be replayed.

    Args:
        segments: the municipality's.
        windows: the municipality's.
    """
    if not windows:
        return Traffic()
    newest = max(window.newest for window in windows)
    return Traffic(picture=draw(segments, windows, newest), at=newest.timestamp())
