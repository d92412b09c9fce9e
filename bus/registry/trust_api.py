"""The HTTP API for who is who: statements are taken from everybody, and handed out to everybody.

Whoever can log in may bring a statement, as its signatures decide and not who brings it. Only the
first root is named by who may write at the registry (`POST /trust/root`).
"""

from starlette.requests import Request
from starlette.responses import Response

from bus.registry import refusals
from bus.registry.http import Handler, answer, body_of
from bus.registry.store import Store
from bus.registry.trust import Trust

STATEMENTS, ROOT = "/trust/statements", "/trust/root"


class TrustApi:
    """Takes statements and hands them out.

    Args:
        store: the journal.
        trust: who is who.
    """

    def __init__(self, store: Store, trust: Trust) -> None:
        self._store, self._trust = store, trust

    def handlers(self) -> list[tuple[str, str, Handler]]:
        """Return method, path and handler of all requests."""
        return [
            ("GET", STATEMENTS, self.statements),
            ("POST", STATEMENTS, self.take),
            ("POST", ROOT, self.begin),
        ]

    async def statements(self, request: Request) -> Response:
        """GET /trust/statements?after=N: entries after a number, for folding the ledger anew."""
        text = request.query_params.get("after", "0")
        if not (text.isascii() and text.isdecimal() and len(text) < 16):
            raise refusals.malformed("after is the number of an entry")
        await self._store.refresh()
        return answer(self._trust.page(int(text)))

    async def take(self, request: Request) -> Response:
        """POST /trust/statements: append a statement if it has an effect."""
        return await self._take(request, begins=False)

    async def begin(self, request: Request) -> Response:
        """POST /trust/root: the same, and it may be the first root."""
        return await self._take(request, begins=True)

    async def _take(self, request: Request, *, begins: bool) -> Response:
        body = await body_of(request)
        return answer(
            await self._store.change(lambda state: self._trust.decide(body, state, begins=begins))
        )
