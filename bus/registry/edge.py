"""The outermost layer of the API: who may ask, and what is asked for most."""

import logging

from starlette.types import ASGIApp, Receive, Scope, Send

from bus.counted import answered_by
from bus.errors import BusError
from bus.registry import refusals
from bus.registry.doorman import Doorman
from bus.registry.http import MEDIA_TYPE, refused
from bus.registry.refusals import Refusal
from bus.registry.state import State

log = logging.getLogger(__name__)

PREFIX = "/schemas/ids/"


class Edge:
    """An ASGI application around the API.

    ``GET /schemas/ids/{id}`` is what every client asks for each schema that it meets: a known one
    is answered here, from bytes that were encoded once.

    Args:
        app: the API.
        state: what is registered.
        doorman: lets in who may; everybody if None.
    """

    def __init__(self, app: ASGIApp, state: State, doorman: Doorman | None = None) -> None:
        self._app, self._state, self._doorman = app, state, doorman

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        # Paths are matched as they were sent: a subject may have a slash in it, as %2F.
        scope["path"] = scope["raw_path"].decode("latin-1").rstrip("/") or "/"
        if (refusal := await self._turned_away(scope)) is not None:
            await refused(refusal)(scope, receive, send)
        elif scope["method"] == "GET" and (body := self._known(scope)) is not None:
            answered_by(scope, f"{PREFIX}{{id}}")
            await _send(send, body)
        else:
            try:
                await self._app(scope, receive, send)
            except Exception:
                log.exception("a request to the registry failed: %s", scope["method"])

    async def _turned_away(self, scope: Scope) -> Refusal | None:
        if self._doorman is None:
            return None
        try:
            await self._doorman.admit(scope)
        except (Refusal, BusError) as error:
            return refusals.of(error)
        return None

    def _known(self, scope: Scope) -> bytes | None:
        path = scope["path"]
        if not path.startswith(PREFIX) or b"fetchMaxId" in scope["query_string"]:
            return None
        number = path[len(PREFIX) :]
        if not (number.isascii() and number.isdecimal() and len(number) < 11):
            return None
        return self._state.bodies.get(int(number))


async def _send(send: Send, body: bytes) -> None:
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
