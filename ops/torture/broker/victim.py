"""Brokers in processes of their own, to be killed; one starts within a few hundredths of a second.

`python -m ops.torture.broker.victim` loads what a broker needs once and forks for each that is
wanted. A line on its input, "FOLDER", starts one; its answer is "PID HOST:PORT", or "0 REASON".
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Self

from bus.cli.demo.programs import end_with_parent
from bus.errors import BusError
from bus.settings import Address
from ops.torture.broker.opened import local

_ENDED = 20.0  # seconds
_MOST_LOGGED = 2**24  # bytes


class Victims:
    """Starts brokers on a folder, one after the other, and kills them.

    Args:
        data: the folder.
        prefix: a command that runs all of it.
        started: whether the first one is started at once.

    Attributes:
        address: where the present one listens.
    """

    address: Address

    def __init__(self, data: Path, *, prefix: Sequence[str] = (), started: bool = True) -> None:
        self._data, self._prefix, self._started = data, prefix, started
        self._pid = 0
        self._log = TemporaryFile()  # noqa: SIM115  # as long as the brokers

    async def __aenter__(self) -> Self:
        self._parent = await asyncio.create_subprocess_exec(
            *self._prefix,
            sys.executable,
            "-m",
            "ops.torture.broker.victim",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._log,
        )
        if self._started:
            await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.kill()
        assert self._parent.stdin is not None
        self._parent.stdin.close()
        await self._parent.wait()
        self._log.close()

    async def start(self) -> None:
        """Start one and return once it listens.

        Raises:
            RuntimeError: it does not start; the message says why.
        """
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(f"{self._data}\n".encode())
        line = (await self._parent.stdout.readline()).decode().strip()
        pid, _, said = line.partition(" ")
        if not int(pid or 0):
            raise RuntimeError(said or "the broker's process ended")
        self._pid, self.address = int(pid), Address.parse(said)

    def logged(self) -> str:
        """Return what all of them have logged."""
        return os.pread(self._log.fileno(), _MOST_LOGGED, 0).decode()

    def memory(self) -> int:
        """Return the most memory that the present one ever had, in bytes."""
        status = Path(f"/proc/{self._pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    async def kill(self) -> None:
        """End it without any warning, and return once it is gone."""
        if not self._pid:
            return
        with suppress(ProcessLookupError):  # it has stopped by itself
            os.kill(self._pid, signal.SIGKILL)
        async with asyncio.timeout(_ENDED):
            await self.ended()
        self._pid = 0

    async def ended(self) -> None:
        """Return once the present one has ended."""
        try:
            process = os.pidfd_open(self._pid)
        except ProcessLookupError:
            return
        loop, gone = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(process, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(process)
            os.close(process)


async def _serve(data: Path) -> None:
    try:
        async with local(data) as broker:
            print(os.getpid(), broker.address, flush=True)
            await broker.failed.wait()
    except BusError as error:
        print(0, error, flush=True)


def main() -> None:
    """Fork a broker for each line that is read; all end with this process."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    parent = os.getpid()
    for line in sys.stdin:
        if os.fork() == 0:
            end_with_parent(parent)()
            asyncio.run(_serve(Path(line.strip())))
            os._exit(0)


if __name__ == "__main__":
    main()
