"""The demo's producers and consumers: processes of their own, and what they say."""

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bus.errors import BusError

PATIENCE = 4.0
"""Seconds that a program has to stop in order before it is ended."""

LINE_BYTES = 16 * 2**20
"""Longest line that a program may write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program to start: its title for people, its module and its arguments."""

    title: str
    module: str
    arguments: Sequence[str]


class Process:
    """A running program that reports what it does as lines of JSON.

    Args:
        program: what to run.
        log: the file that takes what it writes to standard error.
        environment: settings as environment variables.
        on_report: called with each line that it writes.
    """

    def __init__(
        self,
        program: Program,
        log: Path,
        environment: Mapping[str, str],
        on_report: Callable[[dict[str, Any]], None],
    ) -> None:
        self.program, self._log = program, log
        self._environment, self._on_report = environment, on_report
        self._ready = asyncio.Event()
        self._stopping = False
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self.program.module,
                *self.program.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self._environment},
                limit=LINE_BYTES,
                # Ctrl-C reaches only the demo, which then stops everybody in order.
                start_new_session=True,
                preexec_fn=end_with_parent(os.getpid()),
            )
        self._reading = asyncio.create_task(self._read(self._process))

    async def ready(self) -> None:
        """Return once the program is connected.

        Raises:
            BusError: it ended before.
        """
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait({ready, self._reading}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if not self._ready.is_set():
            raise self.failure()

    async def end(self) -> None:
        """Return once the program has ended and all that it wrote was read."""
        await asyncio.shield(self._reading)

    @property
    def exit_code(self) -> int | None:
        """How the process ended; None while it runs or before it was started."""
        return self._process.returncode if self._process else None

    @property
    def failed(self) -> bool:
        """Whether it ended by itself and not well."""
        return self.exit_code not in {None, 0} and not self._stopping

    def failure(self) -> BusError:
        """Return the error that says how it ended, with its last words."""
        said = self._log.read_text(encoding="utf-8", errors="replace")
        # A sentence that tells of an error begins with its mark; what it advises comes after.
        last = said.rpartition("✘")[2].strip().partition("\n")[0] or "it said nothing"
        return BusError(
            f"the program ended with exit code {self.exit_code}: {last}",
            where=self.program.title,
            remedy=f"all that it said is in {self._log}",
        )

    async def stop(self) -> None:
        """Ask it to stop in order; end it if it does not."""
        if self._process is None:
            return
        if self.exit_code is None:
            self._stopping = True
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.end(), PATIENCE)
        except TimeoutError:
            self._process.kill()
            await self.end()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            raise AssertionError("the process was started with a pipe")
        async for line in process.stdout:
            report = json.loads(line)
            if report["event"] == "ready":
                self._ready.set()
            self._on_report(report)
        await process.wait()


def end_with_parent(parent: int) -> Callable[[], None]:
    """Return what a child runs before its program, so that it dies with its parent.

    The kernel sends the signal whatever the parent dies of (prctl(2), PR_SET_PDEATHSIG). The parent
    may die before the child has asked for that; then another has adopted it already.
    """
    libc = ctypes.CDLL(None)

    def ask() -> None:
        pr_set_pdeathsig = 1
        libc.prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return ask
