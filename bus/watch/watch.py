"""Looks at the whole bus all the time, and keeps what it saw for whoever asks."""

import asyncio
import logging
from asyncio import sleep
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from bus.errors import BusError
from bus.settings import KafkaSettings
from bus.telemetry import Telemetry
from bus.watch.canary import Canary
from bus.watch.expected import Expected
from bus.watch.gauges import Gauges
from bus.watch.rates import Mark, Rates, mark, rates
from bus.watch.survey import Survey
from bus.watch.surveyor import Surveyor

log = logging.getLogger(__name__)

INTERVAL = 5.0
"""Seconds between two surveys: a third of the interval at which Prometheus usually asks."""

SHARE = 0.1
"""The part of the time that surveys may take: where they take long, they are further apart."""

MOST = 60.0
"""Seconds between two surveys at the most: else one that was slow would leave all figures old."""

MARKS, APART = 11, 60.0
"""How many marks are kept of the past, and how many seconds lie between two: ten minutes."""


class Watch:
    """Surveys the bus, on either engine, and shows what it finds as metrics.

    Args:
        kafka: how to reach the engine.
        telemetry: whose metrics are set.
        canary: the name of the canary's group; no canary is sent if None.
        expected: returns how often an event is expected at the least, by topic.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        telemetry: Telemetry,
        *,
        canary: str | None = None,
        expected: Callable[[], Mapping[str, Expected]] = dict,
    ) -> None:
        self._kafka, self._telemetry, self._expected = kafka, telemetry, expected
        self._gauges = Gauges(telemetry)
        self._canary = Canary(kafka, telemetry, group=canary) if canary else None
        self._watching: asyncio.Task[None] | None = None
        self._marks: deque[Mark] = deque(maxlen=MARKS)
        self.latest: Survey | None = None
        self.previous: Survey | None = None
        self.expected: Mapping[str, Expected] = {}
        """How often an event is expected at the least, by topic, when it was last looked at."""
        self.trouble: str | None = None
        """Why the bus cannot be looked at just now."""

    @property
    def history(self) -> Sequence[Mark]:
        """How far groups were behind within the last ten minutes, oldest first."""
        return tuple(self._marks)

    @property
    def silence(self) -> float | None:
        """Seconds since a canary's event came back; None: none was sent by this node yet."""
        return self._canary.silence if self._canary is not None else None

    @property
    def rates(self) -> Rates | None:
        """Events per second between the last two surveys."""
        return rates(self.previous, self.latest) if self.latest is not None else None

    async def start(self) -> None:
        """Begin to look in the background."""
        self._watching = asyncio.create_task(self._watch(), name="watch")
        if self._canary is not None:
            await self._canary.start()

    async def stop(self) -> None:
        """Stop looking."""
        if self._canary is not None:
            await self._canary.stop()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    async def _watch(self) -> None:
        while True:
            try:
                await self._look_until_unavailable()
            except BusError as error:
                self._tell(str(error))
            except Exception as error:  # a watch that ends in silence is worse than one that fails
                log.exception("the bus cannot be looked at: unexpected")
                self.trouble = repr(error)
            self._telemetry.survey_failures.inc()
            self._gauges.clear()
            await sleep(INTERVAL)

    def _tell(self, trouble: str) -> None:
        """Log what is wrong once, not at every try."""
        if trouble != self.trouble:
            log.warning("the bus cannot be looked at just now: %s", trouble)
        self.trouble = trouble

    async def _look_until_unavailable(self) -> None:
        async with Surveyor(self._kafka) as surveyor:
            while True:
                survey = await surveyor.survey()
                await self.take(survey)
                await sleep(min(max(INTERVAL, survey.took * (1 / SHARE - 1)), MOST))

    async def take(self, survey: Survey) -> None:
        """Keep a survey, and show it."""
        expected = self._expected()
        # In a thread, as it takes long where there are many, and all others would wait.
        await asyncio.to_thread(self._gauges.show, survey, expected)
        self.expected = expected
        self.previous, self.latest, self.trouble = self.latest, survey, None
        if not self._marks or survey.at - self._marks[-1].at >= APART:
            self._marks.append(mark(survey))
