"""What a producer says about itself: lines of JSON for programs, short sentences for people."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bus.cli.edge import emit, say

EVERY_SECONDS = 1.0


@dataclass(slots=True)
class Progress:
    """Counts what was published and acknowledged, and tells of it.

    Args:
        json: one object a line on standard output; otherwise sentences on standard error, at most
            one a second.
        clock: seconds that never go back.
    """

    json: bool
    clock: Callable[[], float] = time.monotonic
    published: int = 0
    acknowledged: int = 0
    _said: float = -EVERY_SECONDS

    def ready(self, what: str) -> None:
        """Tell that the bus is reached and what is about to be published."""
        if self.json:
            emit({"event": "ready"})
        else:
            say(what)

    def sent(self, count: int) -> None:
        """Note events that were handed over for the first time."""
        self.published += count

    def receipts(self, topic: str, ids: Sequence[str]) -> None:
        """Tell of events that the bus has acknowledged."""
        self.acknowledged += len(ids)
        if self.json:
            emit({"event": "acknowledged", "topic": topic, "ids": ids})
        elif (now := self.clock()) - self._said >= EVERY_SECONDS:
            self._said = now
            say(f"{self.acknowledged:,} events acknowledged on {topic}")

    def done(self) -> None:
        """Tell the totals; the last word."""
        if self.json:
            emit({"event": "done", "published": self.published, "acknowledged": self.acknowledged})
        else:
            say(f"done: {self.published:,} published, {self.acknowledged:,} acknowledged")
