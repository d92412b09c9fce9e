"""Let the kernel fail a broker's system calls, by strace: the same as `io_errors`, from outside."""

import asyncio
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ops.torture.broker.account import Account
from ops.torture.broker.load import Load, at_work
from ops.torture.broker.opened import judged, prepared, structure
from ops.torture.broker.victim import Victims

GOES_ON = 20
"""Batches that are acknowledged after the failure, and in the end, at the least."""

LOOKING = 0.05
"""Seconds between two looks at whether the kernel has failed a call."""

INJECTED = b"(INJECTED)"
"""What strace writes beside a call that it failed."""

CALLS = ("pwrite64", "fdatasync")
ERRORS = ("EIO", "ENOSPC")


class Case(NamedTuple):
    """The n-th such call of a thread fails, once."""

    call: str
    error: str
    nth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one failure.

    Attributes:
        stopped: whether the broker stopped by itself.
        acknowledged: batches, positions and transactions that were.
        breaches: promises that were not kept.
    """

    stopped: bool
    acknowledged: int
    breaches: tuple[str, ...]


def permitted() -> bool:
    """Whether strace is there and may trace a process."""
    strace = shutil.which("strace")
    return (
        strace is not None
        and not subprocess.run(
            [strace, "-qq", "-e", "trace=none", "true"], capture_output=True
        ).returncode
    )


async def injected(data: Path, seed: int, case: Case) -> Outcome:
    """Run a load on a broker whose disk fails once; start another one if it has stopped.

    Args:
        data: an empty folder.
        seed: settles what is written.
        case: what fails.
    """
    account = Account()
    async with Victims(data) as sound:
        await prepared(lambda: sound.address)
        here = [sound]
        load = Load(lambda: here[0].address, account.note, seed)
        async with at_work(load):
            await load.reached("batches", 1)
            await sound.kill()
            stopped = False
            trace = data.with_name(f"{data.name}.trace")
            prefix = _strace(case, trace)
            async with Victims(data, prefix=prefix, started=False) as failing:
                with suppress(RuntimeError):  # it may fail before it listens
                    await failing.start()
                    here[0] = failing
                    stopped = await _either(failing, load, trace)
            here[0] = sound
            await sound.start()
            await load.reached("batches", load.done["batches"] + GOES_ON)
        breaches = await judged(lambda: sound.address, account)
    return Outcome(
        stopped=stopped,
        acknowledged=load.done.total() - load.done["refused"],
        breaches=tuple(f"seed {seed}, {case}: {one}" for one in [*breaches, *structure(data)]),
    )


def _strace(case: Case, trace: Path) -> Sequence[str]:
    """Return what traces a program as its grandchild, so that the program stays our child.

    Args:
        case: what fails.
        trace: where the calls are written.
    """
    inject = f"inject={case.call}:error={case.error}:when={case.nth}"
    return (
        "strace",
        "-D",
        "-f",
        "-qq",
        "-o",
        str(trace),
        "-e",
        f"trace={case.call}",
        "-e",
        inject,
    )


async def _either(failing: Victims, load: Load, trace: Path) -> bool:
    """Wait until a broker has stopped by itself, which is returned, or goes on after the failure.

    How many batches a sync takes depends on the machine, so none are counted before the failure.
    """
    ended = asyncio.create_task(failing.ended())
    gone_on = asyncio.create_task(_gone_on(load, trace))
    await asyncio.wait({ended, gone_on}, return_when=asyncio.FIRST_COMPLETED)
    stopped = ended.done()
    ended.cancel()
    gone_on.cancel()
    return stopped


async def _gone_on(load: Load, trace: Path) -> None:
    while True:
        if await asyncio.to_thread(_has_failed, trace):  # strace tells nobody but its file
            break
        await asyncio.sleep(LOOKING)
    await load.reached("batches", load.done["batches"] + GOES_ON)


def _has_failed(trace: Path) -> bool:
    return trace.exists() and INJECTED in trace.read_bytes()
