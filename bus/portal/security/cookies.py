"""Cookies of the portal: none that a script, another host or an unprotected connection can have."""

from starlette.requests import HTTPConnection
from starlette.responses import Response

SESSION, VISIT, ASKED = "stadtbus", "stadtbus-visit", "stadtbus-login"
"""Who has logged in; a browser where nobody has; one that has been sent to the provider."""

BROWSER, YEAR = "stadtbus-browser", 365 * 24 * 3600
"""One that a user has logged in with before, and for how many seconds it is kept."""


def name(kind: str, *, secure: bool) -> str:
    """Return a cookie's name; browsers take ``__Host-`` from this very host and over TLS alone.

    RFC 6265bis, section 4.1.3.2.
    """
    return f"__Host-{kind}" if secure else kind


def kept(request: HTTPConnection, kind: str, *, secure: bool) -> str:
    """Return what a browser keeps; nothing if it does not."""
    return request.cookies.get(name(kind, secure=secure), "")


def keep(
    response: Response, kind: str, value: str, *, secure: bool, seconds: int | None = None
) -> None:
    """Let a browser keep something; an empty value takes it away.

    Args:
        response: what it is told with.
        kind, value: what.
        secure: it asks over TLS.
        seconds: for how long; None: until it is closed.
    """
    response.set_cookie(
        name(kind, secure=secure),
        value,
        max_age=seconds if value else 0,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )
