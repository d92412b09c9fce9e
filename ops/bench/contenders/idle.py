"""An event loop that does nothing, in a process of its own: how long the machine itself waits."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection

from bus.telemetry import Telemetry, Turns
from ops.bench.children import end_with_contender


@contextmanager
def idle_loop() -> Iterator[Callable[[], float]]:
    """Run an idle loop for the time of a block; what is yielded tells its longest turn after it.

    In seconds, as the broker's.
    """
    spawning = get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_idle, args=(theirs,))
    process.start()
    longest = 0.0
    ours.recv()
    try:
        yield lambda: longest
    finally:
        ours.send(None)
        longest = ours.recv()
        process.join()


def _idle(told: Connection) -> None:
    end_with_contender()
    asyncio.run(_watched(told))


async def _watched(told: Connection) -> None:
    turns, over = Turns(Telemetry(), "idle"), asyncio.Event()
    asyncio.get_running_loop().add_reader(told.fileno(), over.set)
    await turns.start()
    told.send(None)
    await over.wait()
    await turns.stop()
    told.send(turns.longest)
