"""The registry's statements for others in the same process; `bus.trust.client` asks over HTTP."""

from typing import Any

from bus.journal import Entry
from bus.registry.rules import Write
from bus.registry.state import State
from bus.registry.store import Store
from bus.registry.trust import Trust
from bus.trust.statements import Statement


class Statements:
    """Hands out and takes statements; to be called in the registry's event loop.

    Args:
        store: the journal.
        trust: who is who.
    """

    def __init__(self, store: Store, trust: Trust) -> None:
        self._store, self._trust = store, trust

    async def entries(self, after: int) -> tuple[list[Entry], bool]:
        """Return entries that follow a number, and whether there are more."""
        await self._store.refresh()
        return self._trust.entries(after)

    async def hand_in(self, statement: Statement) -> int:
        """Append a statement to the journal, and return the number of its entry.

        Raises:
            StatementRefused: it would have no effect.
            InvalidGrant: it is about a grant that can give nothing.
            BusUnavailable, OutcomeUnknown: whether it was appended is not known.
        """
        body = statement.body()

        def decide(state: State) -> dict[str, Any] | Write[dict[str, Any]]:
            return self._trust.decide(body, state, begins=False)

        return int((await self._store.change(decide))["number"])
