"""Keeps the engine's denials in step with the ledger, whichever registry took the statement."""

import asyncio
import logging
import time
from types import TracebackType
from typing import Self

from bus.errors import BusError
from bus.registry.store import Store
from bus.settings import KafkaSettings
from bus.trust.ledger import Ledger
from bus.trust.lockout import settle

log = logging.getLogger(__name__)

LOOKING = 1.0
"""Seconds between two looks at the journal: a lockout is felt within five."""

ANEW = 60.0
"""Seconds after which the engine's rules are held against the ledger, changed or not."""


class Locking:
    """Locks out whom the ledger locks out, as long as it runs.

    Args:
        kafka: how to reach the engine, as somebody who may alter the cluster.
        store: the journal.
        ledger: who is who.
    """

    def __init__(self, kafka: KafkaSettings, store: Store, ledger: Ledger) -> None:
        self._kafka, self._store, self._ledger = kafka, store, ledger
        self._settled, self._last = -1, 0.0
        self._trouble = ""
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin; the engine is brought in step in the background."""
        self._task = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _keep(self) -> None:
        while True:
            await self._store.refresh()
            statements = self._ledger.statements
            due = time.monotonic() - self._last > ANEW
            if self._ledger.standing.systems and (statements != self._settled or due):
                await self._settle(statements)
            await asyncio.sleep(LOOKING)

    async def _settle(self, statements: int) -> None:
        try:
            await settle(self._kafka, self._ledger.standing, int(time.time() * 1000))
        except BusError as error:
            if str(error) != self._trouble:
                log.warning("nobody can be locked out of the engine: %s", error)
            self._trouble = str(error)
            return
        self._settled, self._last, self._trouble = statements, time.monotonic(), ""
