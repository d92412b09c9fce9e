"""Metrics and health over HTTP, for those who watch over a node."""

import asyncio
import hmac
from collections.abc import Callable
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bus.audit import Notes, quoted
from bus.http import PRINCIPAL, HttpListener
from bus.security import lacking
from bus.settings import Address, Settings, secret
from bus.telemetry import Telemetry

NAMES = "name[]"
"""The parameter that asks for some series by their names, as Prometheus' own exporters have it."""


class _Refusal(NamedTuple):
    status: int
    reason: str


class Ops:
    """The listener with ``/metrics``, ``/healthz`` and ``/readyz``.

    Metrics are for whoever has the token, or a certificate whose owner may read them.

    Args:
        settings: as `bus.security.in_force` returns them.
        telemetry: what is shown.
        ready: whether every role answers.

    Raises:
        InvalidSettings: certificate, key or token cannot be used.
    """

    def __init__(
        self, settings: Settings, telemetry: Telemetry, *, ready: Callable[[], bool]
    ) -> None:
        self._settings, self._telemetry, self._ready = settings.ops, telemetry, ready
        self._readers = {*settings.ops.readers, *settings.broker.super_users}
        self._notes = Notes()
        self._token()  # refused before anything is made
        self._listener = HttpListener(
            self._application(),
            settings.ops,
            name="ops",
            telemetry=telemetry,
            notes=self._notes,
            lacking=lacking(settings, "ops", embedded=False),
        )

    async def start(self) -> None:
        """Listen.

        Raises:
            AddressInUse, InvalidSettings: the address cannot be listened on.
        """
        await self._listener.start()

    async def stop(self) -> None:
        """Answer no more."""
        await self._listener.stop()

    @property
    def address(self) -> Address:
        """Where it really listens; known once started."""
        return self._listener.address

    @property
    def url(self) -> str:
        """The address as a client writes it."""
        return self._listener.url

    def _application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/metrics", self._metrics),
                Route("/healthz", self._healthy),
                Route("/readyz", self._is_ready),
            ]
        )

    async def _metrics(self, request: Request) -> Response:
        refusal = self._refusal(request)
        if refusal is not None:
            self._note(request, refusal.reason)
            return PlainTextResponse(
                "metrics are read with the token of ops.token_file: Authorization: Bearer …, or "
                "with a certificate of one of ops.readers\n",
                status_code=refusal.status,
                headers={"www-authenticate": "Bearer"} if refusal.status == 401 else None,
            )
        # In a thread, as it takes long where there are many topics, and all others would wait.
        names = request.query_params.getlist(NAMES)
        shown = await asyncio.to_thread(self._telemetry.exposition, names)
        return Response(shown, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _healthy(self, _: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _is_ready(self, _: Request) -> Response:
        if self._ready():
            return PlainTextResponse("ready\n")
        return PlainTextResponse("not ready\n", status_code=503)

    def _refusal(self, request: Request) -> _Refusal | None:
        """Return why metrics are not shown to somebody; None if they are."""
        token, principal = self._token(), getattr(request.state, PRINCIPAL, None)
        given = request.headers.get("authorization")
        if principal in self._readers:
            return None
        if token is None:
            if self._settings.client_certificate == "none":
                return None  # nobody has to be somebody
            if principal is None:
                return _Refusal(401, "no certificate")
        elif given is not None:
            known = hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
            return None if known else _Refusal(401, "another token")
        elif principal is None:
            return _Refusal(401, "no token")
        return _Refusal(403, "no reader")

    def _note(self, request: Request, reason: str) -> None:
        host = request.client.host if request.client else ""
        principal = getattr(request.state, PRINCIPAL, "")
        who = f"principal={quoted(principal)} " if principal else ""
        line = f"login refused {who}host={quoted(host)} at=ops reason={quoted(reason)}"
        self._notes.tell("login", host, (host, principal, reason), line)

    def _token(self) -> str | None:
        """Return the token that metrics are read with, as it stands in its file now."""
        file = self._settings.token_file
        return None if file is None else secret(file, "ops.token_file", "token")
