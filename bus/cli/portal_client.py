"""Asking the page's node what it has for programs."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bus.errors import (
    BusUnavailable,
    InvalidInput,
    InvalidSettings,
    NotAuthenticated,
    NotAuthorised,
)

if TYPE_CHECKING:
    from bus.settings import Settings

SECONDS = 30.0
"""Seconds that one answer may take."""

_LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})


def address(settings: "Settings") -> str:
    """Return where the page is, as settings have it."""
    portal = settings.portal
    scheme = "https" if portal.certificate_file else "http"
    return portal.url or f"{scheme}://{portal.listen}"


def ask(
    url: str, path: str, query: Mapping[str, str], login: tuple[str, str] | None, ca: Path | None
) -> Any:
    """Return the JSON of an answer.

    Args:
        url: where the page is.
        path: what is asked for.
        query: its parameters.
        login: a user of the page, and its password.
        ca: certificates (PEM) that the page's must lead to; the system's if None.

    Raises:
        NotAuthenticated, NotAuthorised: it does not let this user in, or shows it nothing.
        InvalidInput: a parameter cannot be used.
        InvalidSettings: the certificates cannot be used, or the password would go in the clear.
        BusUnavailable: it cannot be reached, or cannot answer now.
    """
    import httpx

    from bus.tls import client_context

    encrypted = url.startswith("https:")
    if login and not encrypted and urlsplit(url).hostname not in _LOCAL:
        raise InvalidSettings(
            "the password would go over the network in the clear",
            where=url,
            remedy="give an address that begins with https:",
        )
    verify: ssl.SSLContext | bool = (
        client_context(ca, None, setting="kafka.ca_file") if encrypted else False
    )
    try:
        with httpx.Client(
            base_url=url, auth=login, verify=verify, timeout=SECONDS, trust_env=False
        ) as client:
            answer = client.get(path, params=dict(query))
            if answer.status_code < 400:
                return answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise BusUnavailable(
            f"the page does not answer: {str(error) or type(error).__name__}",
            where=url,
            remedy="check --portal, and that the node runs the role portal",
        ) from error
    raise _refusal(url, answer.status_code, answer)


def _refusal(url: str, status: int, answer: Any) -> Exception:
    match status:
        case 401:
            return NotAuthenticated(
                "the page does not know this user, or the password is wrong",
                where=url,
                remedy="give --user and --password-file of a user of the page",
            )
        case 403:
            return NotAuthorised(
                "this user is no member's data protection officer, and no operator",
                where=url,
                remedy="have the administrator appoint one: `stadtbus portal user officer`",
            )
        case 400:
            said = _said(answer)
            return InvalidInput(
                said.get("message", "the page does not understand what is asked"),
                where=said.get("where") or url,
                remedy=said.get("remedy", ""),
            )
        case 404:
            return BusUnavailable(
                "what answers there is no page of this version",
                where=url,
                remedy="check --portal",
            )
        case _:
            why = _said(answer).get("message", answer.reason_phrase)
            return BusUnavailable(f"the page answers {status}: {why}", where=url)


def _said(answer: Any) -> dict[str, str]:
    """Return what the page says to programs, if it does."""
    if answer.headers.get("content-type") != "application/json":
        return {}
    return {name: str(value) for name, value in answer.json().items()}
