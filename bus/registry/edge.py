"""The outermost layer of the API: what is asked for most, counted and timed with all the rest."""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bus.registry.http import MEDIA_TYPE
from bus.registry.state import State
from bus.telemetry import Telemetry

log = logging.getLogger(__name__)

PREFIX = "/schemas/ids/"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


class Edge:
    """An ASGI application around the API.

    ``GET /schemas/ids/{id}`` is what every client asks for each schema that it meets: a known one
    is answered here, from bytes that were encoded once.
    """

    def __init__(self, app: ASGIApp, state: State, telemetry: Telemetry) -> None:
        self._app, self._state, self._telemetry = app, state, telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        begun = time.perf_counter()
        method, status = scope["method"], 500
        if method == "GET" and (body := self._known(scope)) is not None:
            status = 200
            await _send(send, body)
        else:

            async def noting(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            # Paths are matched as they were sent: a subject may have a slash in it, as %2F.
            scope["path"] = scope["raw_path"].decode("latin-1").rstrip("/") or "/"
            try:
                await self._app(scope, receive, noting)
            except Exception:
                log.exception("a request to the registry failed: %s", method)
        self._count(method, status, time.perf_counter() - begun)

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
