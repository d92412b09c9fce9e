"""An event loop of its own, in a thread of its own: what is read for pages is read here.

Fetching and decoding thousands of events is work that the node's own event loop, and with it the
broker, does not wait for.
"""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

Value = TypeVar("Value")


class Aside:
    """The loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="stadtbus-aside", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._loop = asyncio.new_event_loop()
        self._thread.start()

    async def run(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Return what work that runs here returns; called from another loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._running))

    def post(self, work: Coroutine[Any, Any, Any]) -> None:
        """Have work done here that nobody waits for."""
        asyncio.run_coroutine_threadsafe(work, self._running)

    async def stop(self, last: Coroutine[Any, Any, None]) -> None:
        """End whatever runs here, and wait for it.

        Args:
            last: what is done before.
        """
        if not self._thread.is_alive():
            last.close()
            return
        await self.run(last)
        await self.run(_ended())
        self._running.call_soon_threadsafe(self._running.stop)
        await asyncio.to_thread(self._thread.join)

    @property
    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("it has not begun")
        return self._loop

    def _run(self) -> None:
        asyncio.set_event_loop(self._running)
        try:
            self._running.run_forever()
        finally:
            self._running.close()


async def _ended() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others)
