"""Looks for what is new, and tells it to whoever waits for it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from bus.watch.expected import Expected
from bus.watch.rates import Mark
from bus.watch.survey import Survey

log = logging.getLogger(__name__)

TURN = 0.25
"""Seconds between two looks: open pages are told four times a second at the most."""

AGEING = 5.0
"""Seconds after which pages are looked at again though nothing is new: ages have grown."""


class Watching(Protocol):
    """What is known of the bus; `bus.watch.Watch` keeps it up to date."""

    @property
    def latest(self) -> Survey | None:
        """The last survey."""

    @property
    def previous(self) -> Survey | None:
        """The one before it."""

    @property
    def history(self) -> Sequence[Mark]:
        """How far groups were behind in the last surveys, oldest first."""

    @property
    def expected(self) -> Mapping[str, Expected]:
        """How often an event is expected at the least, by topic, as far as this node knows."""

    @property
    def silence(self) -> float | None:
        """Seconds since a canary's event came back; None: this node has sent none."""


class Pulse:
    """Says when there is a new survey, and now and then when there is none.

    Args:
        watch: whose surveys.
        news: told of each survey.
        beat: told of each survey after that, and of time that goes by.
    """

    def __init__(
        self,
        watch: Watching,
        news: Callable[[Survey | None, Survey], Awaitable[None]],
        beat: Callable[[], None],
    ) -> None:
        self._watch, self._news, self._beat = watch, news, beat
        self._beating: asyncio.Task[None] | None = None
        self.seen: Survey | None = None
        """The last survey that was told of."""

    async def start(self) -> None:
        """Begin to look."""
        self._beating = asyncio.create_task(self._run(), name="portal pulse")

    async def stop(self) -> None:
        """Look no more."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        beaten = loop.time()
        while True:
            await asyncio.sleep(TURN)
            latest = self._watch.latest
            new = latest is not None and latest is not self.seen
            try:
                if new and latest is not None:
                    await self._news(self.seen, latest)
                    self.seen = latest
                if new or loop.time() - beaten >= AGEING:
                    beaten = loop.time()
                    self._beat()
            except Exception:  # a page that stands still is worse than a line in the log
                log.exception("a survey could not be taken in: unexpected")
                self.seen = latest
