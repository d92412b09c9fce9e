"""The edge of every program: stop signals, sentences instead of tracebacks, exit codes.

Exit codes: 0 done, 1 internal error, 2 usage, 3 answered "no", 4 unreachable or timeout,
5 not authenticated or not authorised, 6 not found, 7 finished with skipped records, 130 Ctrl-C.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, NoReturn

from bus.errors import BusError

Program = Callable[[asyncio.Event], Awaitable[int | None]]


def run_program(main: Program) -> NoReturn:
    """Run a coroutine to its end and leave the process with the exit code that fits.

    Args:
        main: gets an event that is set on SIGTERM and Ctrl-C, and stops in order once it is;
            returns an exit code, or None for 0.
    """
    with leaving_in_order():
        sys.exit(asyncio.run(_with_signals(main)) or 0)


async def _with_signals(main: Program) -> int | None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    return await main(stop)


async def stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    """Wait until somebody asks the program to stop, or so long; return whether somebody did."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()


async def unless_stopped(coroutine: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Run a coroutine to its end, or cancel it once somebody asks to stop.

    Returns:
        Whether it came to its end.
    """
    running, stopped = asyncio.create_task(coroutine), asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if running.done():
        running.result()
        return True
    running.cancel()
    await asyncio.wait({running})
    return False


class leaving_in_order:  # noqa: N801  # reads as what the block does
    """Turn errors that a user can cause into a sentence on stderr and an exit code."""

    def __enter__(self) -> None:
        """Nothing to set up."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Leave the process for errors that are ours; let others through."""
        match error:
            case BusError():
                fail(error)
            case BrokenPipeError() | SystemExit(__context__=BrokenPipeError()):
                # Who reads our output has seen enough; Typer would call that a failure. Python
                # would complain again while it flushes standard output at exit, so give it one
                # that takes everything.
                with suppress(OSError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                sys.exit(0)
            case KeyboardInterrupt():
                sys.exit(130)


def fail(error: BusError) -> NoReturn:
    """Say what went wrong, where, and what to do about it; exit with the error's code."""
    say(explain(error))
    sys.exit(error.exit_code)


def explain(error: BusError) -> str:
    """Return the paragraph that a person reads: code, place, what is wrong, what to do."""
    place = f"{error.where}: " if error.where else ""
    lines = [f"✘ {error.code} {place}{error.what}"]
    if error.remedy:
        lines.append(f"  Next: {error.remedy}")
    return "\n".join(lines)


def say(text: str) -> None:
    """Talk to the person at the terminal; data goes to stdout through `emit` alone."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def emit(value: Any) -> None:
    """Write one JSON document as a line of stdout."""
    print(json.dumps(value, ensure_ascii=False, default=str), flush=True)  # noqa: T201
