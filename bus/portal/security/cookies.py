"""Cookies of the portal: none that a script, another host or an unprotected connection can have."""

from starlette.requests import HTTPConnection
from starlette.responses import Response

SESSION, VISIT, ASKED = "stadtbus", "stadtbus-visit", "stadtbus-login"
"""Who has logged in; a browser where nobody has; one that has been sent to the provider."""


def name(kind: str, *, secure: bool) -> str:
    """Return a cookie's name; browsers take ``__Host-`` from this very host and over TLS alone.

    RFC 6265bis, section 4.1.3.2.
    """
    return f"__Host-{kind}" if secure else kind


def kept(request: HTTPConnection, kind: str, *, secure: bool) -> str:
    """Return what a browser keeps; nothing if it does not."""
    return request.cookies.get(name(kind, secure=secure), "")


def keep(response: Response, kind: str, value: str, *, secure: bool) -> None:
    """Let a browser keep something until it is closed; an empty value takes it away."""
    response.set_cookie(
        name(kind, secure=secure),
        value,
        max_age=None if value else 0,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )
