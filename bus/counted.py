"""Requests over HTTP, counted and timed by the route that answers them."""

import time
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bus.telemetry import Telemetry

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})

OTHER = "other"
"""What strangers made up: a method that there is not, a path that leads nowhere."""

_ROUTE = "stadtbus.route"


def answered_by(scope: MutableMapping[str, Any], route: str) -> None:
    """Say by which route a request is answered that was not looked for among all of them.

    Args:
        scope: of the request.
        route: as routes are written, such as ``/contracts/{topic}``.
    """
    scope[_ROUTE] = route


class Counted:
    """An ASGI application around another one.

    Its labels are routes and not paths, so that nobody can make up series. Who has gone before the
    answer began is not counted.

    Args:
        app: what answers.
        routes: where it answers.
        listener: the listener's name.
        telemetry: where requests are counted.
    """

    def __init__(
        self, app: ASGIApp, routes: Sequence[BaseRoute], listener: str, telemetry: Telemetry
    ) -> None:
        self._app, self._listener, self._telemetry = app, listener, telemetry
        self._routes: Mapping[Any, str] = {
            route.app if isinstance(route, Mount) else route.endpoint: route.path
            for route in routes
            if isinstance(route, Route | Mount)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, counted = time.perf_counter(), False

        async def noting(message: Message) -> None:
            nonlocal counted
            if not counted and message["type"] == "http.response.start":
                counted = True
                self._count(scope, message["status"], time.perf_counter() - begun)
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception:
            if not counted:
                self._count(scope, 500, time.perf_counter() - begun)
            raise

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get(_ROUTE) or self._routes.get(scope.get("endpoint"), OTHER)
        method = scope["method"] if scope["method"] in METHODS else OTHER
        of = (self._listener, method, route)
        self._telemetry.http_requests.labels(*of, f"{status // 100}xx").inc()
        self._telemetry.http_request_duration.labels(self._listener, route).observe(seconds)
