"""Server-sent events: pages that are open learn what is new, in one stream each.

However many pages are open: what several show is made once, in the portal's own thread, and no
page is told more often than the pulse beats.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from concurrent.futures import Executor
from dataclasses import dataclass, field

HEARTBEAT = 15.0
"""Seconds of silence after which a stream says that it is still there."""

SHARE = 60.0
"""Seconds that a stream may stay open however many want one."""

COME_BACK = 5_000, 15_000
"""Milliseconds after which who has no stream comes back; by chance, so that not all do at once."""

AT_ONCE, PAUSE = 4, 0.005
"""How many streams are woken at a time, and seconds until the next are."""

TURN = 0.25
"""Seconds between two steps of a stream of its own pace."""

_RECONNECT = 1000


@dataclass(eq=False, slots=True)
class _Stream:
    since: float
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False


class Streams:
    """All streams that are open.

    When there are as many as there may be, the oldest makes room for who comes, once it has had
    its share; before that, who comes is told what there is now, and comes back for more.

    Args:
        most: how many there may be.
        thread: where pages are made.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        most: Callable[[], int],
        thread: Executor,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._thread, self._clock = most, thread, clock
        self._open: dict[_Stream, None] = {}
        self._made: dict[Hashable, asyncio.Future[bytes]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def beat(self) -> None:
        """Say that there may be something new: every open page is looked at again.

        A few at a time, as whatever else the node does waits for each turn of the event loop.
        """
        self._made.clear()
        later = asyncio.get_running_loop().call_later
        for number, stream in enumerate(self._open):
            later(number // AT_ONCE * PAUSE, stream.woken.set)

    def close(self) -> None:
        """End all streams."""
        for stream in self._open:
            stream.over = True
            stream.woken.set()

    async def events(self, key: Hashable, make: Callable[[], str]) -> AsyncIterator[bytes]:
        """Yield a stream: a page's changing part whenever it has changed.

        Args:
            key: equal for streams that show the same.
            make: returns that part; called in another thread.
        """
        stream = self._join()
        try:
            yield b"retry: %d\n\n" % _RECONNECT
            sent = None
            while True:
                stream.woken.clear()
                told = await self._told(key, make)
                if told != sent:
                    sent = told
                    yield told
                while not stream.over and not await _within(stream.woken, HEARTBEAT):
                    yield b": still here\n\n"
                if stream.over:
                    break
            yield _come_back()
        finally:
            self._open.pop(stream, None)

    async def paced(self, step: Callable[[], Awaitable[bytes]]) -> AsyncIterator[bytes]:
        """Yield a stream of what a step returns, which is taken four times a second at the most.

        Args:
            step: returns what is new; nothing if nothing is.
        """
        stream, clock = self._join(), asyncio.get_running_loop().time
        try:
            yield b"retry: %d\n\n" % _RECONNECT
            spoken = clock()
            while True:
                due = clock() + TURN
                told = await step()
                if not told and clock() - spoken >= HEARTBEAT:
                    told = b": still here\n\n"
                if told:
                    spoken = clock()
                    yield told
                stream.woken.clear()
                while not stream.over and (left := due - clock()) > 0:
                    await _within(stream.woken, left)
                    stream.woken.clear()
                if stream.over:
                    break
            yield _come_back()
        finally:
            self._open.pop(stream, None)

    def _join(self) -> _Stream:
        stream = _Stream(self._clock())
        self._open[stream] = None
        too_many = max(len(self._open) - max(self._most(), 1), 0)
        for oldest in list(self._open)[:too_many]:
            goes = oldest if stream.since - oldest.since >= SHARE else stream
            goes.over = True
            goes.woken.set()
            self._open.pop(goes, None)
        return stream

    async def _told(self, key: Hashable, make: Callable[[], str]) -> bytes:
        """Return what streams of this key say now, made by the first that asks since the beat."""
        making = self._made.get(key)
        if making is None:
            loop = asyncio.get_running_loop()
            making = loop.run_in_executor(self._thread, lambda: message(make()))
            self._made[key] = making
        return await asyncio.shield(making)  # who goes does not take it from the others


def message(data: str, *, event: str = "", retry: int | None = None, id_: str = "") -> bytes:
    """Return one event of a stream (HTML Standard, section 9.2.6).

    Args:
        data: what it says.
        event: its name; without one, it is a part of the page.
        retry: milliseconds after which to come back once the stream has ended.
        id_: what a browser that comes back says that it had last.
    """
    head = (f"event: {event}\n" if event else "") + (f"retry: {retry}\n" if retry else "")
    head += f"id: {id_}\n" if id_ else ""
    # Each line of the data on a line of its own, whatever the data takes for a line's end.
    lines = data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return (head + "".join(f"data: {line}\n" for line in lines) + "\n").encode()


def _come_back() -> bytes:
    return message("come back", event="full", retry=random.randint(*COME_BACK))  # noqa: S311


async def _within(event: asyncio.Event, seconds: float) -> bool:
    """Return whether something happens within so many seconds; wait for it no longer."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
