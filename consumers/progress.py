"""What a consumer says about itself: lines of JSON for programs, short sentences for people."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bus.cli.edge import emit, say

EVERY_SECONDS = 1.0


@dataclass(slots=True)
class Progress:
    """Counts the events whose effect is on disk, and tells of them.

    Args:
        group: the consumer group.
        json: one object a line on standard output; otherwise sentences on standard error, at most
            one a second.
        clock: seconds that never go back.
    """

    group: str
    json: bool
    clock: Callable[[], float] = time.monotonic
    events: int = 0
    _said: float = -EVERY_SECONDS

    def ready(self) -> None:
        """Tell that the group is joined."""
        if self.json:
            emit({"event": "ready", "group": self.group})
        else:
            say(f"{self.group} is reading; Ctrl-C stops it")

    def delivered(self, ids: Sequence[str]) -> None:
        """Tell of events whose handler has finished and whose effect is committed."""
        self.events += len(ids)
        if self.json:
            emit({"event": "delivered", "group": self.group, "ids": ids})
        elif (now := self.clock()) - self._said >= EVERY_SECONDS:
            self._said = now
            say(f"{self.events:,} events taken in")

    def left_out(self, ids: Sequence[str]) -> None:
        """Tell of events that came too late to have an effect."""
        if self.json:
            emit({"event": "late", "group": self.group, "ids": ids})
        else:
            say(f"{len(ids):,} events came too late and are left out")

    def done(self) -> None:
        """Tell the total; the last word."""
        if self.json:
            emit({"event": "done", "group": self.group, "delivered": self.events})
        else:
            say(f"done: {self.events:,} events taken in")
