"""Who is next where many wait: sources take turns, so that a flood delays its own. Pure."""

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

CROWD, SHARE = 4, 8
"""The parts of a round, one in so many, that all and one source may fill while there are several.

Shorter rounds cost some of the speed, and who comes next waits for less.
"""

ALONE_AFTER = 1.0
"""Seconds without any other source, after which one may fill a whole round."""


class Fair(Generic[T]):
    """What waits, by source; each source's own in the order in which it came.

    The source None is nobody in particular: it makes no crowd, and may fill a round.

    Args:
        jobs: how many fit into a round.
        size: how many bytes fit.
    """

    def __init__(self, jobs: int, size: int) -> None:
        self._most, self._most_bytes = jobs, size
        self._waiting: OrderedDict[Hashable, deque[tuple[T, int]]] = OrderedDict()
        self._last: Hashable = None
        self._crowded = 0.0  # when the last round had another source than the one before

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, source: Hashable, job: T, size: int) -> None:
        """Add a job of so many bytes."""
        waiting = self._waiting.get(source)
        if waiting is None:
            waiting = self._waiting[source] = deque()
        waiting.append((job, size))

    def take(self, now: float) -> list[T]:
        """Return the next round: some of each source, in turns; one that is alone may fill it.

        Args:
            now: seconds of a clock that only goes forward.
        """
        if not self._waiting:
            return []
        for source in self._waiting:
            if source is not None:
                if source != self._last:
                    self._crowded = now
                self._last = source
        crowded = now - self._crowded < ALONE_AFTER
        parts, all_ = (SHARE, CROWD) if crowded else (1, 1)
        taken: list[T] = []
        size = 0
        for source in list(self._waiting):
            taken, size = self._of(source, parts if source is not None else 1, taken, size)
            if len(taken) >= self._most // all_ or size >= self._most_bytes // all_:
                break
        return taken

    def _of(self, source: Hashable, parts: int, taken: list[T], size: int) -> tuple[list[T], int]:
        """Take one source's part, and put the source behind the others if there is more of it."""
        waiting = self._waiting[source]
        most = min(len(taken) + max(self._most // parts, 1), self._most)
        most_bytes = min(size + self._most_bytes // parts, self._most_bytes)
        while waiting and len(taken) < most:
            job, length = waiting.popleft()
            taken.append(job)
            size += length
            if size >= most_bytes:
                break
        if waiting:
            self._waiting.move_to_end(source)
        else:
            del self._waiting[source]
        return taken, size
