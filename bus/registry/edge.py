"""The outermost layer of the API: what is asked for most, counted and timed with all the rest."""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bus.errors import BusError
from bus.registry import refusals
from bus.registry.doorman import Doorman
from bus.registry.http import MEDIA_TYPE, refused
from bus.registry.refusals import Refusal
from bus.registry.state import State
from bus.telemetry import Telemetry

log = logging.getLogger(__name__)

PREFIX = "/schemas/ids/"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


class Edge:
    """An ASGI application around the API.

    ``GET /schemas/ids/{id}`` is what every client asks for each schema that it meets: a known one
    is answered here, from bytes that were encoded once.

    Args:
        app: the API.
        state: what is registered.
        telemetry: counts and times requests.
        doorman: lets in who may; everybody if None.
    """

    def __init__(
        self, app: ASGIApp, state: State, telemetry: Telemetry, doorman: Doorman | None = None
    ) -> None:
        self._app, self._state, self._telemetry = app, state, telemetry
        self._doorman = doorman

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        begun = time.perf_counter()
        method, status = scope["method"], 500
        # Paths are matched as they were sent: a subject may have a slash in it, as %2F.
        scope["path"] = scope["raw_path"].decode("latin-1").rstrip("/") or "/"
        if (refusal := await self._turned_away(scope)) is not None:
            status = refusal.status
            await refused(refusal)(scope, receive, send)
        elif method == "GET" and (body := self._known(scope)) is not None:
            status = 200
            await _send(send, body)
        else:

            async def noting(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await self._app(scope, receive, noting)
            except Exception:
                log.exception("a request to the registry failed: %s", method)
        self._count(method, status, time.perf_counter() - begun)

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

    def _count(self, method: str, status: int, seconds: float) -> None:
        method = method if method in METHODS else "other"
        self._telemetry.registry_requests.labels(method, str(status)).inc()
        self._telemetry.registry_request_duration.labels(method).observe(seconds)


async def _send(send: Send, body: bytes) -> None:
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
