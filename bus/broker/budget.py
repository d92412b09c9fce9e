"""Memory that many share: bytes are taken before they are needed, and given back."""

import asyncio
from collections import deque


class Budget:
    """So many bytes, given out in the order in which they were asked for.

    One who asks for more than there is gets it once nobody else holds any, so that a limit never
    stops a request that is allowed by itself.

    Args:
        size: bytes.

    Attributes:
        held: bytes that are given out.
    """

    def __init__(self, size: int) -> None:
        self.size, self.held = size, 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def free(self) -> int:
        """Bytes that are not given out."""
        return max(self.size - self.held, 0)

    def try_take(self, wanted: int) -> bool:
        """Take so many bytes if they are there, and nobody waits."""
        if self._waiting or not self._fits(wanted):
            return False
        self.held += wanted
        return True

    async def take(self, wanted: int) -> None:
        """Take so many bytes, and wait for them if need be."""
        if self.try_take(wanted):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._serve()  # those who came later need not wait for this one any more
            else:
                self.give(wanted)  # it came all the same
            raise

    def give(self, size: int) -> None:
        """Give bytes back; or take more, with a negative size, where it is too late to wait."""
        self.held -= size
        self._serve()

    def _fits(self, wanted: int) -> bool:
        return self.held + wanted <= self.size or self.held == 0

    def _serve(self) -> None:
        while self._waiting:
            wanted, turn = self._waiting[0]
            if not turn.cancelled():
                if not self._fits(wanted):
                    return
                self.held += wanted
                turn.set_result(None)
            self._waiting.popleft()
