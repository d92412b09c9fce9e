"""When to publish how many events: one by one at low rates, in small batches at high ones."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

SINGLY_UP_TO = 50
BATCH_SECONDS = 0.1
FULL_SPEED_BATCH = 500


@dataclass(frozen=True, slots=True)
class Pace:
    """How an amount of events is spread over time.

    Attributes:
        size: events in a batch.
        interval: seconds from the start of one batch to that of the next; 0 for no pause.
    """

    size: int
    interval: float

    @classmethod
    def of(cls, rate: float | None) -> "Pace":
        """Return the pace for so many events a second; as fast as receipts come if None."""
        if rate is None:
            return cls(FULL_SPEED_BATCH, 0.0)
        size = 1 if rate <= SINGLY_UP_TO else max(1, round(rate * BATCH_SECONDS))
        return cls(size, size / rate)

    def due(self, batch: int) -> float:
        """Return when a batch is due, in seconds after the first; the first is number 0.

        Counted from the start and not from the last batch, so that being late once does not
        slow down everything that follows.
        """
        return batch * self.interval


async def wait_until(stop: asyncio.Event, moment: float) -> None:
    """Wait until the loop's clock shows a moment, or until the program is asked to stop."""
    seconds = moment - asyncio.get_running_loop().time()
    if seconds > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)
