"""The portal over HTTP: its pages, and the streams that keep them up to date."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from bus.counted import Counted
from bus.errors import StorageUnusable
from bus.portal import words
from bus.portal.guard import PROGRAMS, SAFE, STREAMS, Guard
from bus.portal.language import Language, choose, languages
from bus.portal.page import Page, Sources
from bus.portal.render import Templates
from bus.portal.security.forms import place
from bus.portal.streams import Streams
from bus.portal.viewer import require
from bus.telemetry import Telemetry

if TYPE_CHECKING:
    from bus.portal.security.access import Access

log = logging.getLogger(__name__)

COOKIE = "language"
WANTED = "lang"
"""The parameter of an address that asks for a language."""

_YEAR = 365 * 24 * 3600


Part = Callable[["Application"], Iterable[Route]]
Made = TypeVar("Made")


class _Asked(NamedTuple):
    """A page as somebody asked for it; equal where the same is shown."""

    page: str
    language: str
    query: str


class Application:
    """The portal's pages as an ASGI application.

    Args:
        pages: all there are, in the order of the menu.
        sources: returns where they have what they show from, as it is now.
        streams: the streams that are open.
        thread: where pages are made, one at a time, so that no number of readers holds up the
            node's other work.
        parts: return the routes of what is more than a page of the last survey.
    """

    def __init__(
        self,
        pages: Sequence[Page],
        sources: Callable[[], Sources],
        streams: Streams,
        thread: Executor,
        parts: Sequence[Part] = (),
    ) -> None:
        self._pages, self._sources, self._parts = pages, sources, parts
        self._streams, self._thread = streams, thread
        self._templates = Templates()

    def asgi(self, access: "Access | None", telemetry: Telemetry, *, local: bool) -> ASGIApp:
        """Return the application.

        Args:
            access: who may see the pages; None: everybody who reaches them.
            telemetry: where requests are counted.
            local: only this machine can reach the listener, and nobody is asked who they are.
        """
        routes: list[Route | Mount] = []
        for part in self._parts:
            routes.extend(part(self))
        for page in self._pages:
            if page.view is None:
                continue
            routes.append(Route(page.path, partial(self._page, page)))
            routes.append(Route(f"/live/{page.name}", partial(self._stream, page)))
        routes.append(Mount("/static", StaticFiles(packages=[("bus.portal", "static")])))
        handlers: Mapping[Any, Any] = {
            HTTPException: self._refused,
            StorageUnusable: self._unusable,
            Exception: self._failed,
        }
        pages = Starlette(routes=routes, exception_handlers=handlers)
        guarded = Guard(pages, self.problem, access=access, local=local)
        return Counted(guarded, routes, "portal", telemetry)

    async def answer(
        self, request: Request, template: str, values: Mapping[str, Any], status: int = 200
    ) -> Response:
        """Return an answer with a page that is made of more than the last survey.

        Args:
            request: what is answered.
            template: the page's template.
            values: what it shows: ``page``, its name in the menu, and ``title``, and what else it
                needs; ``path``, where it is read, if that is not where it was asked for.
            status: of HTTP.
        """
        say, now = language_of(request), time.time()
        query = _without_language(request.query_params)
        path = place(request.url.path)
        whole = {"path": path, "query": query, **_around(request), **values}
        make = partial(self._rendered, template, say, now, whole)
        return _answer(request, await self.apart(make), status)

    async def problem(
        self, request: Request, status: int, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Return an answer that says what is wrong with a request."""
        title, advice = words.problem(status, language_of(request))
        values = {"page": "", "title": title, "status": str(status), "advice": advice}
        answer = await self.answer(request, "problem.html", values, status)
        answer.headers.update(headers or {})
        return answer

    async def prepare(self) -> None:
        """Compile all templates, in turn with pages, so that nobody waits for that.

        The first who looked at a page waited for half a second.
        """
        for name in self._templates.names:
            await self.apart(partial(self._templates.compile, name))

    def _rendered(self, template: str, say: Language, now: float, values: Mapping[str, Any]) -> str:
        """Return a page with the menu that there is now; called in the portal's thread."""
        sources = self._sources()
        menu = [(one.name, one.path, one.role) for one in self._pages if one.listed(sources)]
        return self._templates.render(template, say, now, {"menu": menu, **values})

    async def apart(self, make: Callable[[], Made]) -> Made:
        """Return what is made in the thread where pages are."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, make)

    async def _page(self, page: Page, request: Request) -> Response:
        require(request, page.role)
        say, query = language_of(request), request.query_params
        make = partial(self._made, page, say, query, part="", around=_around(request))
        return _answer(request, await self.apart(make))

    async def _stream(self, page: Page, request: Request) -> Response:
        require(request, page.role)
        say, query = language_of(request), request.query_params
        headers = {"content-type": "text/event-stream", "x-accel-buffering": "no"}
        if request.method == "HEAD":
            return Response(headers=headers)
        make = partial(self._made, page, say, query, part="_live")
        key = _Asked(page.name, say.code, _without_language(query))
        return StreamingResponse(self._streams.events(key, make), headers=headers)

    def _made(
        self,
        page: Page,
        say: Language,
        query: Mapping[str, str],
        *,
        part: str,
        around: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a page as HTML, or the part of it that changes, which is the same for all."""
        sources, asked = self._sources(), _without_language(query)
        values = {
            "view": page.view(sources, query) if page.view else None,
            "page": page.name,
            "path": page.path,
            "query": asked,
            "title": words.page_title(page.name, say),
            **(around or {}),
        }
        return self._rendered(f"{page.name}{part}.html", say, sources.now, values)

    async def _refused(self, request: Request, error: HTTPException) -> Response:
        viewed = request.method in SAFE and not request.url.path.startswith((STREAMS, PROGRAMS))
        if error.status_code == 401 and viewed:
            asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?then={quote(asked, safe='')}", 303)
        return await self.problem(request, error.status_code, error.headers)

    async def _unusable(self, request: Request, error: StorageUnusable) -> Response:
        log.error("a page cannot be made: %s", error)
        return await self.problem(request, 503)

    async def _failed(self, request: Request, _: Exception) -> Response:
        """Answer where code is at fault; uvicorn logs the error."""
        return await self.problem(request, 500)


def _answer(request: Request, body: str, status: int = 200) -> Response:
    response = HTMLResponse(body, status)
    response.headers["vary"] = "Accept-Language, Cookie"
    response.headers["content-language"] = language_of(request).code
    wanted = request.query_params.get(WANTED, "")
    if wanted in languages():
        secure = request.url.scheme == "https"
        response.set_cookie(
            COOKIE, wanted, max_age=_YEAR, httponly=True, samesite="lax", secure=secure
        )
    return response


def _around(request: Request) -> Mapping[str, Any]:
    """Return what a page shows of its reader, and what its forms carry."""
    return {"viewer": request.state.viewer, "csrf": request.state.csrf}


def language_of(request: Request) -> Language:
    """Return the language of an answer."""
    wanted, kept = request.query_params.get(WANTED), request.cookies.get(COOKIE)
    return choose(wanted, kept, request.headers.get("accept-language", ""))


def _without_language(query: Mapping[str, str]) -> str:
    return urlencode([(name, value) for name, value in query.items() if name != WANTED])
