"""The statements of the registry in this process, asked from another event loop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from bus.journal import Entry
from bus.portal.trust.following import Statements
from bus.trust.statements import Statement

Value = TypeVar("Value")


class Here:
    """Asks in the registry's event loop.

    Args:
        statements: of the registry.
    """

    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ask in this loop from now on."""
        self._loop = loop

    async def close(self) -> None:
        """Nothing has to be closed."""

    async def entries(self, after: int) -> tuple[list[Entry], bool]:
        """Return entries that follow a number, and whether there are more."""
        return await self._asked(self._statements.entries(after))

    async def hand_in(self, statement: Statement) -> int:
        """Append a statement to the journal, and return the number of its entry.

        Raises:
            StatementRefused: it would have no effect.
            BusUnavailable, OutcomeUnknown: whether it was appended is not known.
        """
        return await self._asked(self._statements.hand_in(statement))

    async def _asked(self, question: Coroutine[Any, Any, Value]) -> Value:
        if self._loop is None:
            raise RuntimeError("it has not begun")
        future = asyncio.run_coroutine_threadsafe(question, self._loop)
        return await asyncio.wrap_future(future)
