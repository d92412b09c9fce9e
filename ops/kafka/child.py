"""Java programs that are run to their end: they die with us, and what went wrong is one line."""

import asyncio
import os
import re
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bus.cli.demo.programs import end_with_parent

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""What tells a terminal the colour of what follows (ECMA-48, SGR)."""


async def output(
    command: Sequence[str], *, folder: Path | None = None, seconds: float | None = None
) -> tuple[int, str]:
    """Run a command to its end; return its exit code and all that it said.

    Args:
        command: what to run.
        folder: where; here if None.
        seconds: how long it may take.

    Raises:
        TimeoutError: it took longer, and was ended.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=end_with_parent(os.getpid()),  # async-signal-safe calls only
    )
    try:
        async with asyncio.timeout(seconds):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # Maven is a script that starts Java
            await process.communicate()
    return await process.wait(), said.decode(errors="replace")


def complaint(said: str) -> str:
    """Return the line of what a Java program said that tells best what went wrong."""
    plain = _COLOUR.sub("", said)
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    for sign in ("Exception:", " FATAL ", " ERROR ", "[ERROR]"):
        for line in lines:
            if sign in line and not line.startswith("at "):
                return line
    return lines[-1] if lines else "it said nothing"
