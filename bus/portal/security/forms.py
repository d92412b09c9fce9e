"""Forms that only our own pages can send (OWASP, Cross-Site Request Forgery Prevention).

Each carries a token that is derived from a secret cookie of the same browser, and has to come from
our own origin. What is posted is read here, once, so that no page can forget to look.
"""

import hmac
import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers

TOKEN = "csrf"  # noqa: S105  # the name of a field
LARGEST, MOST_FIELDS = 64_000, 1100
"""Bytes of a form, and fields in it."""

_PURPOSE = b"stadtbus form"

_PLACE = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,2000}")
"""A page of ours: neither another host's (``//host``) nor what browsers take for one."""


def token(secret: str) -> str:
    """Return the token of a browser's forms, which tells nothing of the secret."""
    return hmac.digest(secret.encode(), _PURPOSE, "sha256").hex()


def genuine(given: str, secret: str | None) -> bool:
    """Whether a form's token belongs to the browser's secret."""
    return bool(secret) and hmac.compare_digest(given.encode(), token(secret or "").encode())


def from_here(headers: Headers, own: str) -> bool:
    """Whether a browser sends a request because of a page of ours.

    Browsers say so by Origin (RFC 6454, Fetch Standard), and newer ones by Sec-Fetch-Site; one
    that says neither is told by the token alone.

    Args:
        headers: the request's.
        own: the portal's origin, ``https://host:port``.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin is not None and not _same(origin, own):
        return False
    return site in {None, "same-origin", "none"}


def fields(body: bytes) -> Sequence[tuple[str, str]]:
    """Return the names and values of a form that was sent.

    Raises:
        ValueError: it is none.
    """
    return parse_qsl(
        body.decode("ascii"),
        keep_blank_values=True,
        strict_parsing=bool(body),
        errors="strict",
        max_num_fields=MOST_FIELDS,
    )


def place(wanted: str) -> str:
    """Return a page of ours, whatever somebody has written into a link."""
    return wanted if _PLACE.fullmatch(wanted) else "/"


def _same(origin: str, own: str) -> bool:
    try:
        one, other = urlsplit(origin), urlsplit(own)
        ours = (other.scheme, other.hostname, _port(other.scheme, other.port))
        return (one.scheme, one.hostname, _port(one.scheme, one.port)) == ours
    except ValueError:
        return False


def _port(scheme: str, port: int | None) -> int | None:
    return port if port is not None else {"http": 80, "https": 443}.get(scheme)
