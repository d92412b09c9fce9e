"""How long an event loop is held by one piece of work: what everybody else there has to wait."""

import asyncio

from bus.telemetry.metrics import Loops

_EVERY = 0.02  # seconds
_TOLD = 1.0  # seconds


class Turns:
    """Looks every moment how late it is called.

    Args:
        telemetry: where it is shown.
        loop: the name of the event loop that it looks at.
    """

    def __init__(self, telemetry: Loops, loop: str) -> None:
        self._turns = telemetry.turns.labels(loop)
        self._told = telemetry.longest_turn.labels(loop)
        self._recent = self._due = self._tell = 0.0
        self.longest = 0.0
        """The longest turn since the start, in seconds."""
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Begin to look at the running loop."""
        self._tell = asyncio.get_running_loop().time() + _TOLD
        self._again()

    async def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _again(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + _EVERY
        self._timer = loop.call_at(self._due, self._look)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        late = now - self._due
        self._turns.observe(late)
        self._recent, self.longest = max(self._recent, late), max(self.longest, late)
        if now >= self._tell:
            self._told.set(self._recent)
            self._recent, self._tell = 0.0, now + _TOLD
        self._again()
