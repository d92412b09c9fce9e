"""Let the disk fail at the n-th write or sync: nothing acknowledged is lost, and it goes on."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bus.broker import Broker
from ops.torture.broker.account import Account
from ops.torture.broker.disk import Disk, Failure, Operation
from ops.torture.broker.load import Load, at_work
from ops.torture.broker.opened import judged, local, prepared, structure

LAST = 50
"""The failing operation is the first, the second and so on up to this one after a good state."""

CHECKPOINTS = 2
"""The same of what a checkpoint copies: there is one in some 80 commits."""

GOES_ON = 3
"""Batches that are acknowledged before a failure and after it."""

MOST_UNDER_WAY = 20
"""Batches that clients may still be told of that were committed before."""

_STOPS_WITHIN = 10.0  # seconds


class Case(NamedTuple):
    """One failure: which, and how."""

    operation: Operation
    nth: int
    failure: Failure

    def __str__(self) -> str:
        return f"{self.failure} at {self.operation} {self.nth}"


def cases(last: int = LAST) -> Iterable[Case]:
    """Return all combinations."""
    for operation, failure in itertools.product(Operation, Failure):
        usual = operation in {Operation.WRITE, Operation.SYNC}
        for nth in range(1, (last if usual else CHECKPOINTS) + 1):
            yield Case(operation, nth, failure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a campaign found.

    Attributes:
        failures: how often the disk failed.
        stops: how often the broker stopped by itself.
        acknowledged: batches, positions and transactions that were.
        breaches: promises that were not kept.
    """

    failures: int
    stops: int
    acknowledged: int
    breaches: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.failures} failures of the disk, {self.stops} stops, {self.acknowledged} things "
            f"acknowledged, {len(self.breaches)} promises broken"
        )


class _Restarted:
    """A broker that is started again when it has stopped by itself."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self.broker = local(data)
        self.stops = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["_Restarted"]:
        await self.broker.start()
        try:
            yield self
        finally:
            await self.broker.stop()

    async def restarted(self) -> None:
        """Let it end, and start another one on what it left."""
        await self.broker.stop()
        self.stops += 1
        again: Broker = local(self._data)
        await again.start()
        self.broker = again


async def io_errors(data: Path, seed: int, wanted: Iterable[Case]) -> Outcome:
    """Let the disk fail in each of these ways, one after the other, under load.

    Args:
        data: an empty folder.
        seed: settles what is written.
        wanted: the failures.

    Raises:
        TimeoutError: nothing went on for a minute after the disk was well again.
        ExceptionGroup: a client was refused for good.
    """
    account, breaches, failures = Account(), [], 0
    with Disk(data) as disk:
        async with _Restarted(data).running() as life:
            await prepared(lambda: life.broker.address)
            load = Load(lambda: life.broker.address, account.note, seed)
            async with at_work(load):
                for case in wanted:
                    await load.reached("batches", load.done["batches"] + GOES_ON)
                    disk.fail(*case)
                    assert await asyncio.to_thread(disk.failing.wait, 60), case
                    failures += 1
                    if wrong := await _settled(life, load, disk, case):
                        breaches.append(f"seed {seed}: {case}: {wrong}")
                await load.reached("batches", load.done["batches"] + GOES_ON)
            breaches += [
                f"seed {seed}: {one}" for one in await judged(lambda: life.broker.address, account)
            ]
    breaches += [f"seed {seed}: {one}" for one in structure(data)]
    return Outcome(
        failures=failures,
        stops=life.stops,
        acknowledged=load.done.total() - load.done["refused"],
        breaches=tuple(breaches),
    )


async def _settled(life: _Restarted, load: Load, disk: Disk, case: Case) -> str:
    """See how the broker takes it, heal the disk, and let it go on; return what was wrong."""
    no_space = case.failure is Failure.ENOSPC and "write" in case.operation
    waited: set[asyncio.Task[Any]] = {asyncio.create_task(life.broker.failed.wait())}
    if no_space or not disk.failed_commit:
        # Answers to what was committed before may still be on their way: more than those.
        more = load.reached("batches", load.done["batches"] + MOST_UNDER_WAY)
        waited.add(asyncio.create_task(more))
    if no_space:
        refused = load.reached("refused", load.done["refused"] + 1)
        waited.add(asyncio.create_task(refused))
    await asyncio.wait(waited, timeout=_STOPS_WITHIN, return_when=asyncio.FIRST_COMPLETED)
    disk.heal()
    for task in waited:
        task.cancel()
    if not life.broker.failed.is_set():
        return "" if no_space or not disk.failed_commit else "it went on after a failed commit"
    await life.restarted()
    return "it stopped for want of space" if no_space else ""


async def full_disk(data: Path, ballast: Path, seed: int) -> Outcome:
    """Fill a small disk until publishers are refused, make space, and let them go on.

    Args:
        data: an empty folder on the small disk.
        ballast: a file there, whose space comes back when it is full.
        seed: settles what is written.

    Raises:
        TimeoutError: nothing went on for a minute.
        ExceptionGroup: a client was refused for good.
    """
    account = Account()
    async with local(data, min_free_bytes=0) as broker:
        await prepared(lambda: broker.address)
        load = Load(lambda: broker.address, account.note, seed, large=20_000)
        async with at_work(load):
            await load.reached("refused", 20)
            await asyncio.to_thread(ballast.unlink)
            await load.reached("batches", load.done["batches"] + GOES_ON)
        stopped = broker.failed.is_set()
        breaches = await judged(lambda: broker.address, account)
    return Outcome(
        failures=load.done["refused"],
        stops=int(stopped),
        acknowledged=load.done.total() - load.done["refused"],
        breaches=(*breaches, *structure(data)),
    )
