"""What holds for every request: who asks, under which name, with which form; and every answer."""

import logging
import math
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, ImmutableMultiDict, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bus.errors import BusError, BusUnavailable, NotAuthenticated, NotAuthorised, StorageUnusable
from bus.portal.security.basic import login_of
from bus.portal.security.cookies import SESSION, VISIT, keep, kept
from bus.portal.security.forms import LARGEST, TOKEN, fields, from_here, genuine, token
from bus.portal.viewer import ANYBODY, LOCAL, STRANGER, Viewer, address
from bus.tokens.follower import TooOften

if TYPE_CHECKING:
    from bus.portal.security.access import Access
    from bus.portal.security.sessions import Person

log = logging.getLogger(__name__)

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing comes from elsewhere, and nothing that stands in a page itself is run (CSP level 3)."""

HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with `no-referrer` a form would not say where it is from
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}

SAFE = frozenset({"GET", "HEAD"})
PROGRAMS = "/data/"
"""Where the addresses begin that are for programs, which say who asks with each request, by HTTP
Basic. No browser is asked for that, and a session counts for them, too."""

STREAMS = "/live/"
"""Where the addresses of streams begin: they follow the bus, which is no use of a session."""

STATIC = "/static/"
"""Where the addresses of scripts and styles begin: the same for everybody, whoever asks."""

LOOK_SECONDS = 2.0
"""How often a stream looks whether its session still counts, at the most."""


class Guard:
    """An ASGI application around all others of the portal.

    Args:
        app: what is guarded.
        problem: answers with the page of an error's status.
        access: who may see the portal; None: everybody who reaches it.
        local: only this machine can reach the listener, and nobody is asked who they are. Then it
            answers only under this machine's names: else a page from elsewhere could have its own
            name lead here (DNS rebinding), and read with the eyes of whoever opened it.
    """

    def __init__(
        self,
        app: ASGIApp,
        problem: Callable[[Request, int], Awaitable[Response]],
        *,
        access: "Access | None",
        local: bool,
    ) -> None:
        self._app, self._problem = app, problem
        self._access, self._local = access, local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        state = scope.setdefault("state", {})
        request = Request(scope, receive)
        origin = self._origin(request)
        state["secure"] = origin.startswith("https:")
        state["viewer"], state["person"] = self._unknown(), None
        state["csrf"], state["form"], fresh = "", ImmutableMultiDict(), ""
        keeps = scope["path"].startswith(STATIC)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _mark(message, fresh, secure=state["secure"], keeps=keeps)
            await send(message)

        if self._local and not _is_local(Headers(scope=scope).get("host", "")):
            answer = PlainTextResponse("this address is not served here\n", status_code=421)
            await answer(scope, receive, guarded)
            return
        try:
            bearer = self._borne(request, state)
        except (NotAuthenticated, NotAuthorised, BusUnavailable) as error:
            await _turned_away(error)(scope, receive, guarded)
            return
        try:
            session = "" if bearer else await self._look(request, state)
        except NotAuthenticated as error:
            status = 429 if error.retriable else 401
            await (await self._problem(request, status))(scope, receive, guarded)
            return
        except StorageUnusable as error:
            log.error("nobody knows who asks: %s", error)
            await (await self._problem(request, 503))(scope, receive, guarded)
            return
        secret = session or kept(request, VISIT, secure=state["secure"])
        if not secret:
            secret = fresh = secrets.token_urlsafe(32)
        state["csrf"] = token(secret)
        if request.method not in SAFE:
            try:
                state["form"] = await _posted(request, origin, "" if fresh else secret)
            except HTTPException as error:
                refusal = await self._problem(request, error.status_code)
                await refusal(scope, receive, guarded)
                return
            except ClientDisconnect:
                return
        follows = (session or bearer) and scope["path"].startswith(STREAMS)
        sending = self._until_out(guarded, session, bearer) if follows else guarded
        await self._app(scope, receive, sending)

    def _unknown(self) -> Viewer:
        """Return what somebody may do who has not logged in."""
        if self._access is not None:
            return STRANGER
        return LOCAL if self._local else ANYBODY

    def _borne(self, request: Request, state: MutableMapping[str, Any]) -> str:
        """Return the token that a request bears, if there is one that lets somebody in.

        Raises:
            NotAuthenticated, NotAuthorised, BusUnavailable: there is one, and it does not.
        """
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        if self._access is None or scheme.lower() != "bearer":
            return ""
        state["viewer"] = self._access.by_token(text.strip(), address(request))
        return text.strip()

    async def _look(self, request: Request, state: MutableMapping[str, Any]) -> str:
        """Find out who asks; return the secret of their session, if there is one."""
        session = kept(request, SESSION, secure=state["secure"])
        if self._access is not None and request.url.path.startswith(PROGRAMS):
            said = login_of(request.headers.get("authorization", ""))
            if said is not None:
                name, password = said
                self._let_in(state, await self._access.identify(name, password, address(request)))
                return ""
        if self._access is None or not session or request.url.path.startswith(STATIC):
            return ""
        used = not request.url.path.startswith(STREAMS)
        person = await self._access.who(session, used=used)
        if person is None:
            return ""
        self._let_in(state, person)
        return session

    @staticmethod
    def _let_in(state: MutableMapping[str, Any], person: "Person") -> None:
        state["person"] = person
        state["viewer"] = Viewer(name=person.name, role=person.role, officer_of=person.officer_of)

    def _until_out(self, send: Send, session: str, bearer: str) -> Send:
        """Return a way to send a stream, which ends soon after the session, or the token, has."""
        looked, over = time.monotonic(), False

        async def follow(message: Message) -> None:
            nonlocal looked, over
            if over:
                return
            if time.monotonic() - looked >= LOOK_SECONDS and self._access is not None:
                looked = time.monotonic()
                access = self._access
                counts = (
                    access.token_counts(bearer)
                    if bearer
                    else await access.who(session, used=False) is not None
                )
                if not counts:
                    over = True
                    message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        return follow

    def _origin(self, request: Request) -> str:
        """Return how browsers address the portal."""
        if self._access is not None and self._access.origin:
            return self._access.origin
        return f"{request.url.scheme}://{request.headers.get('host', '')}"


def _turned_away(error: BusError) -> Response:
    """Return the answer to a program whose token does not let it in."""
    headers = {}
    if isinstance(error, TooOften):
        status, headers["retry-after"] = 429, str(math.ceil(error.seconds))
    elif isinstance(error, NotAuthenticated):
        status, headers["www-authenticate"] = 401, 'Bearer realm="stadtbus", error="invalid_token"'
    else:
        status = 403 if isinstance(error, NotAuthorised) else 503
    return PlainTextResponse(f"{error}\n", status, headers)


async def _posted(request: Request, origin: str, secret: str) -> ImmutableMultiDict[str, str]:
    """Return the fields of a form that one of our pages has sent.

    Raises:
        HTTPException: it is none (415, 413), or none that was sent from here (400).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not from_here(request.headers, origin):
        raise HTTPException(400)
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise HTTPException(413)
    try:
        form = ImmutableMultiDict(fields(body))
    except ValueError as error:
        raise HTTPException(400) from error
    if not genuine(form.get(TOKEN, ""), secret):
        raise HTTPException(400)
    return form


def _mark(message: Message, fresh: str, *, secure: bool, keeps: bool) -> None:
    """Give an answer its headers, and a page the secret of its forms if the browser has none.

    Browsers keep no page. Scripts and styles they may, and ask whether they are still the same.
    """
    headers = MutableHeaders(scope=message)
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    lasts = keeps and message["status"] in {200, 304}
    headers.setdefault("cache-control", "no-cache" if lasts else "no-store")
    if fresh and headers.get("content-type", "").startswith("text/html"):
        giver = Response()
        keep(giver, VISIT, fresh, secure=secure)
        headers.append("set-cookie", giver.headers["set-cookie"])


def _is_local(host: str) -> bool:
    """Whether a name, with a port or without, means this machine."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    name = name.strip("[]").lower()
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
