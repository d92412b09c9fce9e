"""Positions that nobody renews are forgotten, and then the group.

Counted is from when the group lost its last member, which is kept across restarts; or from the
commit, where nobody ever joined, and for topics that members are not subscribed to any more. The
rules are Kafka's (ClassicGroup.offsetExpirationCondition).
"""

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from bus.broker.groups.group import Group
from bus.broker.groups.member import State
from bus.broker.groups.shell import Groups
from bus.broker.storage.database import now_ms
from bus.broker.storage.positions import Position
from bus.broker.storage.store import Store
from bus.broker.writer import StorageFailed

_LOOK_EVERY = 0.2  # seconds
_CHECK_MS = 600_000  # Kafka's offsets.retention.check.interval.ms, for groups that have members
_AGAIN_MS = 5_000  # after a write that failed
_CONSUMERS = "consumer"

log = logging.getLogger(__name__)


class Change(Protocol):
    """Runs a write, and then something on the event loop, before anything that comes later."""

    def __call__(
        self, run: Callable[[Store], Any], publish: Callable[[Any], None] | None = None
    ) -> Awaitable[Any]: ...


class Forgetting:
    """Watches groups come and go, and forgets what had its time.

    Args:
        groups: all groups.
        positions: those of all groups, by name.
        change: how the database is written to.
        retention: milliseconds that positions are kept.
        clock: milliseconds since 1970.
    """

    def __init__(
        self,
        groups: Groups,
        positions: dict[str, dict[tuple[str, int], Position]],
        change: Change,
        *,
        retention: int,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._groups, self._positions, self._change = groups, positions, change
        self._retention, self._clock = retention, clock
        self._emptied: dict[str, int | None] = {}
        self._due: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []
        self._task: asyncio.Task[None] | None = None

    def start(self, emptied: Mapping[str, int | None]) -> None:
        """Begin to watch.

        Args:
            emptied: since when groups that had members have none, as stored.
        """
        self._emptied = dict(emptied)
        for name in self._positions:
            self._look(name, 0)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Watch no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def committed(self, name: str, expires: int | None) -> None:
        """Take note of positions, which may have a time of their own."""
        self._look(name, self._clock() + self._retention if expires is None else expires)

    def dropped(self, name: str) -> None:
        """Take note that a group has no positions any more: what was known of it is not true.

        A group of the same name that comes later counts from its own beginning.
        """
        self._emptied.pop(name, None)

    def _look(self, name: str, due: int) -> None:
        """Look at a group then at the latest."""
        if due < self._due.get(name, due + 1):
            self._due[name] = due
            heapq.heappush(self._heap, (due, name))

    async def _run(self) -> None:
        while True:
            try:
                await self._watch()
                await self._forget()
            except StorageFailed as error:  # it is tried again, or the broker ends
                log.warning("positions are not forgotten now: %s", error)
            except Exception:  # of one group; the others are to be looked at all the same
                log.exception("forgetting positions failed")
            await asyncio.sleep(_LOOK_EVERY)

    async def _watch(self) -> None:
        """Keep since when groups are empty."""
        for name in list(self._positions):
            group = self._groups.get(name)
            living = group is not None and bool(group.members)
            known = self._emptied.get(name, -1)
            if living and known is not None:
                await self._mark(name, None)
            elif not living and known is None:
                await self._mark(name, self._clock())
            if not self._positions.get(name):
                self._look(name, self._clock() + _CHECK_MS)

    async def _mark(self, name: str, emptied: int | None) -> None:
        await self._change(lambda store: store.positions.mark(name, emptied))
        self._emptied[name] = emptied
        self._look(name, self._clock())

    async def _forget(self) -> None:
        while self._heap and self._heap[0][0] <= self._clock():
            due, name = heapq.heappop(self._heap)
            if self._due.get(name) == due:
                del self._due[name]
                try:
                    await self._forget_of(name)
                except StorageFailed:
                    self._look(name, self._clock() + _AGAIN_MS)
                    raise

    async def _forget_of(self, name: str) -> None:
        group, now = self._groups.get(name), self._clock()
        if name not in self._positions or group is None:
            return
        kept: set[str] = set()
        emptied = self._emptied.get(name)
        if group.members:
            if not _tells(group):
                self._look(name, now + _CHECK_MS)
                return
            kept = {topic for topic, _ in self._positions[name] if group.subscribed(topic)}
            emptied = None
        gone, due = await self._change(
            lambda store: store.positions.expire(name, now, emptied, self._retention, kept),
            lambda found: self._take(name, found[0]),
        )
        if gone:
            log.info("group %s: %s positions had their time", name, len(gone))
        if group.members:
            due = min(due or now + _CHECK_MS, now + _CHECK_MS)
        if name in self._positions and due is not None:
            self._look(name, due)

    def _take(self, name: str, gone: list[tuple[str, int]]) -> None:
        """Put in force what was forgotten; with its last position a group without members goes."""
        left = self._positions.get(name, {})
        for key in gone:
            left.pop(key, None)
        if left:
            return
        self._positions.pop(name, None)
        self.dropped(name)
        self._groups.release(name)


def _tells(group: Group) -> bool:
    """Say whether a group's members say what they are subscribed to."""
    return group.protocol_type == _CONSUMERS and group.state is State.STABLE
