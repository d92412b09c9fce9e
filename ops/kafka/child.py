"""What goes with us: Java programs that are run to their end, and folders for the meantime."""

import asyncio
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bus.cli.demo.programs import end_with_parent

_REMOVE = """
cat > /dev/null
until rm -rf -- "$1" || [ $((tries += 1)) -ge 20 ]; do sleep 0.2; done
"""
"""Those who still write into a folder while they are killed may be in the way for a moment."""

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


@contextmanager
def passing_folder(parent: Path | None = None) -> Iterator[Path]:
    """Make a folder that is gone after the block, even if this process is killed meanwhile.

    A process of its own waits for the end of a pipe that only this one holds, and then removes the
    folder: the same way whether the block ends or its process does.

    Args:
        parent: where; among the temporary files if None.
    """
    folder = tempfile.mkdtemp(dir=parent)
    with subprocess.Popen(
        ["/bin/sh", "-c", _REMOVE, "sh", folder],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C at the terminal is not for it
    ):
        yield Path(folder)


def complaint(said: str) -> str:
    """Return the line of what a Java program said that tells best what went wrong."""
    plain = _COLOUR.sub("", said)
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    for sign in ("Exception:", " FATAL ", " ERROR ", "[ERROR]"):
        for line in lines:
            if sign in line and not line.startswith("at "):
                return line
    return lines[-1] if lines else "it said nothing"
