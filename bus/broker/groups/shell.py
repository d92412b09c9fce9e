"""The groups on a running event loop: the clock, and the waiting."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from bus.broker.groups.coordinator import Coordinator
from bus.broker.groups.messages import Join, JoinAnswer, Sync, SyncAnswer
from bus.broker.groups.room import ALL

T = TypeVar("T")

_EXPIRE_EVERY = 0.1  # seconds


class Groups(Coordinator):
    """All groups, with a clock.

    Args:
        clock: seconds that only go forward.
        room: bytes of memory that members of all groups may hold.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, room: int = ALL) -> None:
        super().__init__(room)
        self.clock = clock
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to give up on silent members."""
        self._tick()

    def stop(self) -> None:
        """Stop giving up on members."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_EXPIRE_EVERY, self._tick)
        self.expire(self.clock())

    async def joined(self, name: str, join: Join) -> JoinAnswer:
        """Wait until the generation that the member joins is complete."""
        answer: asyncio.Future[JoinAnswer] = asyncio.get_running_loop().create_future()
        self.join(name, join, self.clock(), _once(answer))
        return await answer

    async def synced(self, name: str, sync: Sync) -> SyncAnswer:
        """Wait until the leader has brought the assignment."""
        answer: asyncio.Future[SyncAnswer] = asyncio.get_running_loop().create_future()
        self.sync(name, sync, self.clock(), _once(answer))
        return await answer


def _once(future: asyncio.Future[T]) -> Callable[[T], None]:
    return lambda answer: None if future.done() else future.set_result(answer)
