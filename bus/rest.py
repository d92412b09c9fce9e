"""Asking the registry over HTTP: the connection, the login, and what it means that it says no."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx

from bus.errors import (
    BusError,
    BusUnavailable,
    InvalidSettings,
    NotAuthenticated,
    NotAuthorised,
)
from bus.probe import remedy_for
from bus.settings import Settings
from bus.tls import client_context

TIMEOUT = httpx.Timeout(15.0, connect=5.0)
"""Seconds that one request may take: longer than the registry itself waits for the bus."""

_CA = "registry.ca_file or kafka.ca_file"


class Answered(Exception):
    """The registry's no, for whoever knows what was asked.

    Args:
        status: of HTTP.
        message: for people.
    """

    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message
        super().__init__(message)


class RestClient:
    """Sends requests to the registry.

    Args:
        url: where the registry is.
        login: user and password, which are sent over https alone.
        ca_file: certificates (PEM) that the registry's must lead to; the system's if None.
        certificate: the files of one's own certificate and its key, if the registry asks for one.

    Raises:
        InvalidSettings: the certificates cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        login: tuple[str, str] | None = None,
        ca_file: Path | None = None,
        certificate: tuple[Path, Path | None] | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        # Certificates are loaded only where there is TLS: it takes a twentieth of a second.
        encrypted = self.url.startswith("https:")
        self._user = login[0] if login and encrypted else None
        self._http = httpx.AsyncClient(
            base_url=self.url,
            timeout=TIMEOUT,
            trust_env=False,
            verify=client_context(ca_file, certificate, setting=_CA) if encrypted else False,
            auth=httpx.BasicAuth(*login) if login and encrypted else None,
        )

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the client of the registry that the settings name.

        Over https it logs in as the user that the engine knows, or with the certificate that is
        shown to the engine.

        Raises:
            InvalidSettings: the certificates or the password cannot be used.
        """
        return cls(settings.registry.url, **way_in(settings))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request, and return the JSON of its answer.

        Raises:
            Answered: the registry says no to what was asked.
            NotAuthenticated: it does not know who asks, or its certificate leads nowhere.
            NotAuthorised: who asks may not.
            BusUnavailable: it cannot be reached, or cannot answer now.
            InvalidSettings: what is there speaks no TLS.
        """
        try:
            answer = await self._http.request(method, path, json=body)
            value = answer.json() if answer.content else None
        except (httpx.HTTPError, ValueError) as error:
            raise self._unanswered(error) from error
        if answer.is_success:
            return value
        message = str(value.get("message", "")) if isinstance(value, dict) else ""
        raise self._refusal(answer.status_code, message or answer.reason_phrase)

    def _refusal(self, status: int, message: str) -> Exception:
        if status == 401:
            return self._unknown(message)
        if status == 403:
            return NotAuthorised(
                f"the registry says no: {message}",
                where=self.url,
                remedy="have the node's administrator name this user in registry.writers",
            )
        if status >= 500:
            return BusUnavailable(f"the registry answers {status}: {message}", where=self.url)
        return Answered(status, message)

    def _unanswered(self, error: Exception) -> BusError:
        """Return why there was no answer; what TLS has to say is deep inside the error."""
        causes = list(_causes(error))
        for cause in causes:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return NotAuthenticated(
                    f"the registry's certificate cannot be verified: {cause.verify_message}",
                    where=self.url,
                    remedy=remedy_for(cause, _CA),
                )
        for cause in causes:
            if isinstance(cause, ssl.SSLError):
                return self._no_tls(cause)
        remedy = "check registry.url, and that the registry runs"
        if isinstance(error, httpx.ReadError | httpx.RemoteProtocolError):
            # Where a certificate is wanted, it closes the connection, and asyncio keeps TLS' why.
            remedy = (
                "check registry.url; if the registry speaks TLS, the URL begins with https:"
                if self.url.startswith("http:")
                else "if the registry asks clients for a certificate, check kafka.certificate_file "
                "and kafka.key_file, else check registry.url"
            )
        return BusUnavailable(
            f"the registry does not answer: {str(error) or type(error).__name__}",
            where=self.url,
            remedy=remedy,
        )

    def _no_tls(self, error: ssl.SSLError) -> BusError:
        if error.reason == "WRONG_VERSION_NUMBER":
            return InvalidSettings(
                "what answers there speaks no TLS, but the URL begins with https:",
                where=self.url,
                remedy="check registry.url; a registry without TLS has a URL with http:",
            )
        words = (error.reason or str(error)).replace("_", " ").lower()
        return BusUnavailable(
            f"TLS with the registry fails: {words}",
            where=self.url,
            remedy="see which TLS it speaks; 1.2 is needed at the least",
        )

    def _unknown(self, message: str) -> NotAuthenticated:
        if self._user is None:
            return NotAuthenticated(
                "the registry asks for a login",
                where=self.url,
                remedy="set kafka.username and kafka.password_file",
            )
        return NotAuthenticated(
            f"the registry refused the login: {message}",
            where=self.url,
            remedy="check kafka.username and kafka.password_file",
        )


def way_in(settings: Settings) -> dict[str, Any]:
    """Return how settings say that one logs in at the registry, as `RestClient` takes it.

    Raises:
        InvalidSettings: the password cannot be read.
    """
    kafka, registry = settings.kafka, settings.registry
    login = kafka.login() if registry.url.startswith("https:") and kafka.username else None
    own = (kafka.certificate_file, kafka.key_file) if kafka.certificate_file else None
    return {"login": login, "ca_file": registry.ca_file or kafka.ca_file, "certificate": own}


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
