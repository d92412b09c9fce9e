"""Waiting for what nobody announces."""

import asyncio
import gc
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


async def disconnected() -> None:
    """Wait until no connection of this event loop is open; tests before had loops of their own.

    In TLS a close waits for the other side's part, and aiokafka does not wait for the close of a
    connection whose login was refused.
    """
    loop = asyncio.get_running_loop()
    await until(
        lambda: (
            not any(
                isinstance(one, asyncio.Transport)
                and getattr(one, "_loop", loop) is loop
                and not one.is_closing()
                for one in gc.get_objects()
            )
        )
    )
