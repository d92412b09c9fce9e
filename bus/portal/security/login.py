"""Logging in and out, over HTTP."""

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bus.errors import BusError, BusUnavailable, NotAuthenticated, NotAuthorised
from bus.portal import words
from bus.portal.application import Application, language_of
from bus.portal.security.access import Access, TryLater
from bus.portal.security.cookies import ASKED, BROWSER, SESSION, VISIT, YEAR, keep, kept
from bus.portal.security.forms import place
from bus.portal.viewer import address

LONGEST_NAME = 200
"""Characters of a name that are looked at."""


class Login:
    """The pages of logging in and out.

    Args:
        access: who may.
    """

    def __init__(self, access: Access) -> None:
        self._access = access

    def routes(self, application: Application) -> Iterable[Route]:
        """Return what is served.

        Args:
            application: makes pages of it.
        """
        self._application = application
        yield Route("/login", self._form)
        yield Route("/login", self._log_in, methods=["POST"])
        yield Route("/login/provider", self._ask)
        yield Route("/login/back", self._back)
        yield Route("/logout", self._log_out, methods=["POST"])

    async def _form(self, request: Request) -> Response:
        return await self._page(request, then=place(request.query_params.get("then", "/")))

    async def _log_in(self, request: Request) -> Response:
        form: Mapping[str, str] = request.state.form
        # No user has so long a name, and whoever sends one shall not fill memory or log with it.
        name, then = form.get("name", "").strip()[:LONGEST_NAME], place(form.get("then", "/"))
        try:
            session, mark = await self._access.log_in(
                name,
                form.get("password", ""),
                address(request),
                self._session(request),
                kept(request, BROWSER, secure=self._secure(request)),
            )
        except TryLater as error:
            answer = await self._page(
                request, "later", then=then, name=name, status=429, wait=error.seconds
            )
            answer.headers["retry-after"] = f"{error.seconds:.0f}"
            return answer
        except NotAuthenticated:
            return await self._page(request, "wrong", then=then, name=name, status=401)
        answer = self._let_in(request, session, then)
        keep(answer, BROWSER, mark, secure=self._secure(request), seconds=YEAR)
        return answer

    async def _ask(self, request: Request) -> Response:
        then = place(request.query_params.get("then", "/"))
        try:
            url, begun = await self._access.ask_provider(then)
        except (BusUnavailable, NotAuthenticated) as error:
            return await self._failed(request, error, then)
        answer = RedirectResponse(url, 303)
        keep(answer, ASKED, begun, secure=self._secure(request))
        return answer

    async def _back(self, request: Request) -> Response:
        secure = self._secure(request)
        begun = kept(request, ASKED, secure=secure)
        try:
            session, then = await self._access.from_provider(
                request.query_params, begun, address(request), self._session(request)
            )
        except (BusUnavailable, NotAuthenticated, NotAuthorised) as error:
            answer = await self._failed(request, error, "/")
        else:
            answer = self._let_in(request, session, then)
        keep(answer, ASKED, "", secure=secure)
        return answer

    async def _log_out(self, request: Request) -> Response:
        person, elsewhere = getattr(request.state, "person", None), None
        if person is not None:
            elsewhere = await self._access.log_out(person, address(request))
        answer = (
            RedirectResponse("/login", 303)
            if elsewhere is None
            else await self._show(request, "logged_out", {"elsewhere": elsewhere})
        )
        for kind in (SESSION, VISIT):
            keep(answer, kind, "", secure=self._secure(request))
        return answer

    def _let_in(self, request: Request, session: str, then: str) -> Response:
        answer = RedirectResponse(place(then), 303)
        keep(answer, SESSION, session, secure=self._secure(request))
        return answer

    async def _failed(self, request: Request, error: BusError, then: str) -> Response:
        if isinstance(error, BusUnavailable):
            return await self._page(request, "away", then=then, status=503)
        if isinstance(error, NotAuthorised):
            return await self._page(request, "no role", then=then, status=403)
        return await self._page(request, "refused", then=then, status=401)

    async def _page(
        self,
        request: Request,
        problem: str = "",
        *,
        then: str,
        name: str = "",
        status: int = 200,
        wait: float = 0.0,
    ) -> Response:
        values = {
            "problem": problem,
            "then": then,
            "asked": quote(then, safe=""),
            "name": name,
            "wait": wait,
            "provider": self._access.provider is not None,
        }
        return await self._show(request, "login", values, status)

    async def _show(
        self, request: Request, name: str, values: Mapping[str, object], status: int = 200
    ) -> Response:
        """Answer with a page that is in no menu."""
        own = {"page": "", "title": words.page_title(name, language_of(request))}
        return await self._application.answer(request, f"{name}.html", {**own, **values}, status)

    def _session(self, request: Request) -> str | None:
        return kept(request, SESSION, secure=self._secure(request)) or None

    def _secure(self, request: Request) -> bool:
        return bool(request.state.secure)
