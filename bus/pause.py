"""Work with many parts that is done on the event loop: others have their turn in between."""

import asyncio
import time
from collections.abc import Callable

SLICE = 0.003
"""Seconds of one's own after which it is the others' turn."""


class Pause:
    """Called between the parts of a piece of work.

    Args:
        clock: seconds that only go forward.
    """

    __slots__ = ("_began", "_clock")

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock, self._began = clock, clock()

    async def __call__(self) -> None:
        """Let the others have their turn if it is time."""
        if self._clock() - self._began > SLICE:
            await asyncio.sleep(0)
            self._began = self._clock()
