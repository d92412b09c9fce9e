"""Who is next where many wait: sources take turns, so that a flood delays its own. Pure."""

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

CROWD, SHARE = 2, 4
"""The parts of a round's jobs, one in so many, that all and one source may fill while there are
several.

Shorter rounds cost some of the speed, and who comes next waits for less.
"""

SHARE_BYTES = 2
"""The part of a round's bytes, one in so many, that one source may fill while there are several."""

ALONE_AFTER = 1.0
"""Seconds without any other source, after which one may fill a whole round."""


class Waiting(NamedTuple, Generic[T]):
    """A job that waits: its bytes, and the place that they go to."""

    job: T
    size: int
    place: Hashable


class Fair(Generic[T]):
    """What waits, by source; each source's own in the order in which it came.

    The source None is nobody in particular: it makes no crowd, and may fill a round.

    Args:
        jobs: how many fit into a round.
        size: how many bytes fit; a job that is larger has a round for itself.
        place: bytes that each place counts for that a round has anything for.
    """

    def __init__(self, jobs: int, size: int, place: int = 0) -> None:
        self._most, self._most_bytes, self._place_bytes = jobs, size, place
        self._waiting: OrderedDict[Hashable, deque[Waiting[T]]] = OrderedDict()
        self._last: Hashable = None
        self._crowded = 0.0  # when the last round had another source than the one before

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, source: Hashable, job: T, size: int, place: Hashable = None) -> None:
        """Add a job of so many bytes."""
        waiting = self._waiting.get(source)
        if waiting is None:
            waiting = self._waiting[source] = deque()
        waiting.append(Waiting(job, size, place))

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
        most = self._most // CROWD if crowded else self._most
        taken = _Round[T](self._place_bytes)
        for source in list(self._waiting):
            full = self._of(source, taken, shared=crowded and source is not None)
            if full or len(taken.jobs) >= most or taken.size >= self._most_bytes:
                break
        return taken.jobs

    def _of(self, source: Hashable, taken: "_Round[T]", *, shared: bool) -> bool:
        """Take one source's part, and put the source behind the others if there is more of it.

        Returns:
            whether its next job does not fit any more: it is the first of the next round.
        """
        waiting = self._waiting[source]
        most, most_bytes = self._most, self._most_bytes
        if shared:
            most = min(len(taken.jobs) + max(most // SHARE, 1), most)
            most_bytes = min(taken.size + most_bytes // SHARE_BYTES, most_bytes)
        while waiting and len(taken.jobs) < most and taken.size < most_bytes:
            if taken.jobs and taken.with_(waiting[0]) > self._most_bytes:
                return True
            taken.add(waiting.popleft())
        if waiting:
            self._waiting.move_to_end(source)
        else:
            del self._waiting[source]
        return False


class _Round(Generic[T]):
    """What was taken, and what it counts for."""

    def __init__(self, place: int) -> None:
        self.jobs: list[T] = []
        self.size = 0
        self._place, self._places = place, set[Hashable]()

    def with_(self, one: Waiting[T]) -> int:
        """Return what it would count for with one more."""
        return self.size + one.size + (0 if one.place in self._places else self._place)

    def add(self, one: Waiting[T]) -> None:
        """Take one more."""
        self.size = self.with_(one)
        self._places.add(one.place)
        self.jobs.append(one.job)
