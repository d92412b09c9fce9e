"""The process that compacts, as the broker sees it: started when needed, ended when idle."""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

from bus.broker.compaction.messages import FRONT, Answer, Order, answer_of, order_line


class WorkerEnded(Exception):
    """The process ended before it was done."""


class Worker:
    """The process.

    Args:
        path: the database.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process: asyncio.subprocess.Process | None = None

    async def order(self, order: Order) -> None:
        """Have a partition compacted; what comes of it is told by `answer`.

        Raises:
            WorkerEnded: it could not be told so.
        """
        try:
            process = await self._running()
            assert process.stdin is not None  # noqa: S101  # it is a pipe
            process.stdin.write(order_line(order))
            await process.stdin.drain()
        except OSError as error:
            raise WorkerEnded(str(error)) from error

    async def answer(self) -> Answer:
        """Return its next answer; until then, and a little more, it goes on.

        Raises:
            WorkerEnded: there is none.
        """
        if self._process is None or self._process.stdout is None:
            raise WorkerEnded("the process that compacts is not there")
        try:
            front = await self._process.stdout.readexactly(FRONT.size)
            text, data = FRONT.unpack(front)
            read = await self._process.stdout.readexactly(text + data)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise WorkerEnded("the process that compacts ended") from error
        return answer_of(read[:text], read[text:])

    async def end(self) -> None:
        """End it at once; it holds nothing that could be lost."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bus.broker.compaction.process",
                str(self._path),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        return self._process
