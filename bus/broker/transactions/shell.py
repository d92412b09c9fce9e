"""The transactions on a running event loop: what is committed of them, the clock, the timeouts."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator

from bus.broker.transactions.coordinator import Coordinator
from bus.broker.transactions.state import IDLE, Place, State, Transaction

_LOOK_EVERY = 0.5  # seconds, for transactions that are open for too long
_AT_ONCE = 200  # of these, as the round that ends them must stay short
_EXPIRE_EVERY = 3_600_000  # milliseconds

log = logging.getLogger(__name__)

Turn = Callable[[Coordinator], None]
Run = Callable[[Turn], Awaitable[None]]


class Transactions:
    """All transactions that are committed, by transactional id.

    Args:
        clock: milliseconds since 1970.
        kept: for how many milliseconds a transactional id that is not used is known.
    """

    def __init__(self, clock: Callable[[], int], *, kept: int) -> None:
        self.clock, self._kept = clock, kept
        self._all: dict[str, Transaction] = {}
        self._open: dict[str, Transaction] = {}
        self._pending: dict[Place, set[str]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._expired = 0

    def __iter__(self) -> Iterator[Transaction]:
        return iter(self._all.values())

    def get(self, name: str) -> Transaction | None:
        """Return the transaction of this transactional id."""
        return self._all.get(name)

    def open(self) -> tuple[int, float]:
        """Return how many transactions are open, and for how many seconds the oldest is."""
        oldest = min((one.started for one in self._open.values()), default=None)
        age = 0.0 if oldest is None else max(self.clock() - oldest, 0) / 1000
        return len(self._open), age

    def unstable(self, group: str, topic: str, index: int) -> bool:
        """Say whether a group's position waits for the end of a transaction."""
        return bool(self._pending) and (group, topic, index) in self._pending

    def rivals(self, groups: Container[str]) -> list[str]:
        """Return the open transactions that may have positions of these groups."""
        return [one.name for one in self._open.values() if any(g in groups for g in one.groups)]

    def know(self, changed: Iterable[Transaction]) -> None:
        """Take note of what was committed."""
        for one in changed:
            before = self._all.pop(one.name, None)
            self._open.pop(one.name, None)
            for place in before.positions if before is not None else ():
                waiting = self._pending.get(place, set())
                waiting.discard(one.name)
                if not waiting:
                    self._pending.pop(place, None)
            if one.state is State.DEAD:
                continue
            self._all[one.name] = one
            if one.state is State.ONGOING:
                self._open[one.name] = one
                for place in one.positions:
                    self._pending.setdefault(place, set()).add(one.name)

    def start(self, run: Run) -> None:
        """Begin to abort what is open for too long.

        Args:
            run: has something done to the transactions in the next round.
        """
        self._timer = asyncio.get_running_loop().call_later(_LOOK_EVERY, self.start, run)
        if self._task is not None and not self._task.done():
            return
        now = self.clock()
        turn = self._due(now)
        if turn is not None:
            self._task = asyncio.get_running_loop().create_task(_done(run, turn))

    def stop(self) -> None:
        """Stop aborting."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _due(self, now: int) -> Turn | None:
        late = [one.name for one in self._open.values() if one.late(now)][:_AT_ONCE]
        if late:
            return lambda every: every.abort_late(late)
        if now - self._expired >= _EXPIRE_EVERY:
            self._expired = now
            if any(one.state in IDLE and now >= one.updated + self._kept for one in self):
                return lambda every: every.expire(self._kept)
        return None


async def _done(run: Run, turn: Turn) -> None:
    try:
        await run(turn)
    except Exception as error:  # storage is full, or failed and stops the broker: said elsewhere
        log.error("ending transactions that are late failed: %s", error)
