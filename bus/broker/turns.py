"""How long the event loop is held by one piece of work: what everybody else has to wait."""

import asyncio

_EVERY = 0.02  # seconds


class Turns:
    """Looks every moment how late it is called."""

    def __init__(self) -> None:
        self._longest = self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look, in the running loop."""
        self._due = asyncio.get_running_loop().time() + _EVERY
        self._timer = asyncio.get_running_loop().call_at(self._due, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def longest(self) -> float:
        """Return the longest turn since this was asked last, in seconds."""
        longest, self._longest = self._longest, 0.0
        return longest

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._longest = max(self._longest, loop.time() - self._due)
        self.start()
