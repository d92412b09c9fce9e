"""Waiting for what nobody announces."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable


async def until(condition: Callable[[], bool | Awaitable[bool]], deadline: float = 30.0) -> None:
    """Wait until a condition holds.

    Args:
        condition: looks; may have to ask an engine first.
        deadline: seconds that it may take.

    Raises:
        TimeoutError: it took longer.
    """
    async with asyncio.timeout(deadline):
        while True:
            seen = condition()
            if await seen if isawaitable(seen) else seen:
                return
            await asyncio.sleep(0.01)
