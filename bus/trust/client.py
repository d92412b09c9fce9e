"""The registry's client for who is who: reads the statements, and hands some in.

It folds the ledger itself, so it trusts the registry for nothing but handing out all entries in
their order, with the times at which the engine took them.
"""

from itertools import pairwise
from types import TracebackType
from typing import Any, Self

from bus.errors import BusError, BusUnavailable, InvalidStatement, StatementRefused
from bus.journal import Entry
from bus.rest import Answered, RestClient
from bus.settings import Settings
from bus.trust.ledger import Ledger, OnStep, entry_of
from bus.trust.statements import Statement

PATH, ROOT_PATH = "/trust/statements", "/trust/root"
REFUSED = "refused"
"""The reason of a refusal by the registry, which says why in its sentence."""


class TrustClient:
    """Reads and writes statements at the registry.

    Args:
        rest: how the registry is reached.
        on_step: is told of each step of a grant, as it is read.

    Attributes:
        ledger: what was read so far.
    """

    def __init__(self, rest: RestClient, on_step: OnStep | None = None) -> None:
        self._rest = rest
        self.ledger = Ledger(on_step)
        self._number = 0

    @classmethod
    def of(cls, settings: Settings, on_step: OnStep | None = None) -> Self:
        """Return the client of the registry that the settings name.

        Raises:
            InvalidSettings: the certificates or the password cannot be used.
        """
        return cls(RestClient.of(settings), on_step)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()

    async def follow(self, *, until_ms: int | None = None) -> Ledger:
        """Read what was written since the last call, verify it, and return who is who.

        Args:
            until_ms: pass over what the engine took later, in milliseconds since 1970: who was who
                then.

        Raises:
            BusUnavailable: the registry cannot be reached.
            InvalidStatement: what it hands out is no list of entries.
        """
        more = True
        while more:
            entries, more = await self.entries(self._number)
            for entry in entries:
                self._number = entry.number
                if until_ms is None or entry.appended <= until_ms:
                    self.ledger.apply(entry)
        return self.ledger

    async def entries(self, after: int) -> tuple[list[Entry], bool]:
        """Return entries that follow a number, and whether there are more.

        Raises:
            BusUnavailable: the registry cannot be reached.
            InvalidStatement: what it hands out is no list of entries in their order.
        """
        match await self._ask("GET", f"{PATH}?after={after}"):
            case {"entries": list(values), "more": bool(more)} if values or not more:
                entries = [entry_of(value) for value in values]
                numbers = [after, *(entry.number for entry in entries)]
                if any(one >= other for one, other in pairwise(numbers)):
                    raise InvalidStatement("hands out entries out of order", where=self._rest.url)
                return entries, more
        raise InvalidStatement("hands out no entries", where=self._rest.url)

    async def hand_in(self, statement: Statement) -> int:
        """Append a statement to the journal, and return the number of its entry.

        Raises:
            InvalidStatement, StatementRefused: the registry finds that it has no effect.
            BusUnavailable, OutcomeUnknown: whether it was appended is not known.
        """
        path = PATH
        if statement.kind == "root" and self.ledger.standing.root is None:
            path = ROOT_PATH
        answer = await self._ask("POST", path, statement.body())
        match answer:
            case {"number": int(number)}:
                return number
        raise BusUnavailable("answers with what is no number", where=self._rest.url)

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        try:
            return await self._rest.ask(method, path, body)
        except Answered as answer:
            raise _refusal(answer, f"{self._rest.url}{path}") from answer


def _refusal(answer: Answered, where: str) -> BusError:
    if answer.status == 409:
        return StatementRefused(answer.message, reason=REFUSED, where=where)
    if answer.status in (400, 413, 422):
        return InvalidStatement(answer.message, where=where)
    return BusError(f"the registry answers {answer.status}: {answer.message}", where=where)
