"""One client's Produce requests that are under way, answered in the order in which they came."""

import asyncio
from collections import deque
from dataclasses import dataclass

from bus.broker.budget import Budget
from bus.broker.limits import Lane


@dataclass(slots=True, eq=False)
class Place:
    """The place of one request among those that are under way.

    Attributes:
        size: of the request, in bytes.
        started: when it was there, in seconds of `time.perf_counter`.
        lane: where its place and bytes are given back.
        throttle_ms: for how long the client is told to be silent.
        answer: bytes; None while there is none, and if there will be none.
        done: whether it may be answered.
    """

    size: int
    started: float
    lane: Lane
    throttle_ms: int
    answer: bytes | None = None
    done: bool = False


class Pipeline:
    """The requests of one connection.

    Args:
        writer: where the answers go.
        memory: of requests, where theirs is given back.
    """

    def __init__(self, writer: asyncio.StreamWriter, memory: Budget) -> None:
        self._writer, self._memory = writer, memory
        self._loop = asyncio.get_running_loop()
        self._open: deque[Place] = deque()
        self._progress = asyncio.Event()
        self._flushing = False

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return bool(self._open)

    def add(self, place: Place) -> None:
        """Take a request in, behind all others."""
        self._open.append(place)

    def remove(self, place: Place) -> None:
        """Take a request out that came to nothing."""
        self._open.remove(place)
        self._give(place)

    def answer(self, place: Place, answer: bytes | None) -> None:
        """Answer a request once all before it are answered; None is no answer."""
        place.answer, place.done = answer, True
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    async def settled(self) -> None:
        """Wait until no request is under way."""
        while self._open:
            self._progress.clear()
            await self._progress.wait()

    def _flush(self) -> None:
        """Send the answers whose turn it is; those of one commit share a system call."""
        self._flushing = False
        ready: list[bytes] = []
        while self._open and self._open[0].done:
            place = self._open.popleft()
            self._give(place)
            if place.answer is not None:
                ready.append(place.answer)
        if ready and not self._writer.is_closing():
            self._writer.write(b"".join(ready))
        self._progress.set()

    def _give(self, place: Place) -> None:
        place.lane.give(place.size)
        self._memory.give(place.size)
