"""When nothing goes on any more: what is missing is said, and not only that it took too long."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

SECONDS = 90.0
"""In which everything has to go on again that a fault has stopped."""

PAUSE_BETWEEN_LOOKS = 0.02
"""Seconds."""

NAMED = 3
"""Of many things that are missing, so many are named; the others are counted."""


class Stalled(TimeoutError):
    """Something did not go on for `SECONDS` seconds.

    Args:
        missing: a sentence for each thing that did not come.
    """

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(f"stalled for {SECONDS:g} s: {'; '.join(missing)}")
        self.missing = tuple(missing)


async def until_there(missing: Callable[[], Sequence[str]], check: Callable[[], None]) -> None:
    """Return once nothing is missing any more.

    Args:
        missing: says what is; looked at again and again.
        check: raises what ended somebody without whom nothing will come.

    Raises:
        Stalled: something is still missing after `SECONDS` seconds.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + SECONDS
    while lacking := missing():
        check()
        if clock() > until:
            raise Stalled(lacking)
        await asyncio.sleep(PAUSE_BETWEEN_LOOKS)


async def together(*work: Awaitable[None]) -> None:
    """Do several things side by side, each to its end, whatever becomes of the others.

    Raises:
        Stalled: some stalled; it says what is missing in any of them.
        BaseException: what one of them raised that was something else.
    """
    raised = [one for one in await asyncio.gather(*work, return_exceptions=True) if one]
    for error in raised:
        if not isinstance(error, Stalled):
            raise error
    if missing := [what for one in raised if isinstance(one, Stalled) for what in one.missing]:
        raise Stalled(missing)


def named(things: Iterable[str]) -> str:
    """Return some things by name, and how many others there are."""
    every = list(things)
    rest = len(every) - NAMED
    return ", ".join(every[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
