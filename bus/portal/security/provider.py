"""A provider of identities: OpenID Connect's authorization code flow, with PKCE.

OpenID Connect Core 1.0 and Discovery 1.0, RFC 7636 (PKCE), RFC 9207 (who answers), RFC 9700 (what
has gone wrong with all of them).
"""

import asyncio
import hashlib
import secrets
import ssl
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote_plus, urlencode

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from bus.errors import BusUnavailable, InvalidSettings, NotAuthenticated, NotAuthorised
from bus.portal.security.sessions import Person
from bus.portal.security.tokens import UnknownKey, claimed, name_of, role_of, verified
from bus.portal.viewer import Role
from bus.settings import OpenIdSettings, secret

PATIENCE = 10.0
"""Seconds for each answer of the provider."""

FRESH = 3600.0
"""Seconds after which the provider is asked anew what it is like, and for its keys."""

KEYS_AT_MOST = 10.0
"""Seconds between two questions for keys: forged tokens shall not make us ask without end."""

LARGEST = 1_000_000
_DISCOVERY = "/.well-known/openid-configuration"
_NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class Begun(NamedTuple):
    """A login that has begun; the browser keeps it until the provider sends it back.

    Args:
        state: what the provider has to hand back.
        nonce: what its token has to say.
        verifier: what only we know when we ask for that token.
    """

    state: str
    nonce: str
    verifier: str


class Provider:
    """The provider that the settings name.

    Args:
        settings: of OpenID Connect; the issuer is set.
        back: our own address that the provider sends browsers back to.
        farewell: our own address that it sends them to when they have logged out there.

    Raises:
        InvalidSettings: a file cannot be read, or a setting is missing.
    """

    def __init__(self, settings: OpenIdSettings, back: str, farewell: str) -> None:
        if settings.issuer is None or settings.client_id is None:
            raise InvalidSettings(
                "OpenID Connect needs to know the provider and who we are to it",
                where="portal.oidc",
                remedy="set portal.oidc.issuer and portal.oidc.client_id",
            )
        self._settings, self._back, self._farewell = settings, back, farewell
        self.issuer, self._client_id = settings.issuer, settings.client_id
        file = settings.client_secret_file
        self._secret = secret(file, "portal.oidc.client_secret_file", "secret") if file else None
        self._wanted = (
            (Role.VIEWER, settings.viewers),
            (Role.OPERATOR, settings.operators),
            (Role.ADMINISTRATOR, settings.administrators),
        )
        self._trust = _trust(settings)
        self._known: dict[str, Any] = {}
        self._keys, self._asked, self._keys_asked = KeySet([]), 0.0, 0.0
        self._asking = asyncio.Lock()

    async def begin(self) -> tuple[str, Begun]:
        """Return where to send the browser, and what it has to keep meanwhile.

        Raises:
            BusUnavailable: the provider does not answer as one.
        """
        known = await self._discovered()
        begun = Begun(*(secrets.token_urlsafe(48) for _ in range(3)))
        challenge = hashlib.sha256(begun.verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self._back,
            "scope": " ".join(self._settings.scopes),
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return _with(known["authorization_endpoint"], asked), begun

    async def finish(self, answer: Mapping[str, str], begun: Begun) -> Person:
        """Return who has logged in.

        Args:
            answer: the parameters with which the provider has sent the browser back.
            begun: what `begin` gave that browser.

        Raises:
            NotAuthenticated: it belongs to no login of this browser, the provider refused it, or
                its token is not to be believed.
            NotAuthorised: none of their groups has a role here.
            BusUnavailable: the provider does not answer as one.
        """
        if not secrets.compare_digest(answer.get("state", "").encode(), begun.state.encode()):
            raise NotAuthenticated("it belongs to no login of this browser", where=self.issuer)
        if answer.get("iss", self.issuer) != self.issuer:
            raise NotAuthenticated("another provider has answered", where=self.issuer)
        if "code" not in answer:
            reason = answer.get("error", "no code")[:200]
            raise NotAuthenticated(f"the provider refused: {reason}", where=self.issuer)
        known = await self._discovered()
        received = await self._exchanged(known["token_endpoint"], answer["code"], begun.verifier)
        token = received.get("id_token")
        if not isinstance(token, str):
            raise NotAuthenticated("the provider gave no token", where=self.issuer)
        claims = await self._believed(token, begun.nonce)
        return await self._person(claims, token, received)

    def farewell(self, token: str) -> str | None:
        """Return where somebody logs out of the provider, too; None: it has no such place.

        OpenID Connect RP-Initiated Logout 1.0.
        """
        place = self._known.get("end_session_endpoint")
        if not isinstance(place, str) or not _is_safe(place):
            return None
        asked = {
            "id_token_hint": token,
            "client_id": self._client_id,
            "post_logout_redirect_uri": self._farewell,
        }
        return _with(place, asked)

    async def _person(
        self, claims: Mapping[str, Any], token: str, received: Mapping[str, Any]
    ) -> Person:
        path, told = self._settings.roles_claim, dict(claims)
        asked = self._known.get("userinfo_endpoint")
        if not isinstance(asked, str) or not _is_safe(asked):
            asked = None
        if not claimed(told, path) and asked is not None and "access_token" in received:
            bearer = {"authorization": f"Bearer {received['access_token']}"}
            more = await self._get(asked, bearer)
            if more.get("sub") != claims["sub"]:
                raise NotAuthenticated("the provider speaks of somebody else", where=self.issuer)
            told = {**more, **told}
        role, name = role_of(claimed(told, path), self._wanted), self._settings.name_claim
        if role is Role.NOBODY:
            raise NotAuthorised(name_of(told, name), where=self.issuer)
        return Person(
            issuer=self.issuer,
            subject=claims["sub"],
            name=name_of(told, name),
            role=role,
            id_token=token,
        )

    async def _believed(self, token: str, nonce: str) -> Mapping[str, Any]:
        """Return a token's claims; keys that have changed meanwhile are asked for once more."""
        await self._ask_for_keys(FRESH)
        try:
            return self._verified(token, nonce)
        except UnknownKey:
            await self._ask_for_keys(KEYS_AT_MOST)
        return self._verified(token, nonce)

    def _verified(self, token: str, nonce: str) -> Mapping[str, Any]:
        return verified(
            token,
            self._keys,
            issuer=self.issuer,
            client=self._client_id,
            nonce=nonce,
            now=time.time(),
            skew=self._settings.clock_skew_seconds,
        )

    async def _ask_for_keys(self, fresh: float) -> None:
        async with self._asking:
            if self._keys_asked and time.monotonic() - self._keys_asked < fresh:
                return
            self._keys_asked = time.monotonic()
            try:
                self._keys = KeySet.import_key_set(await self._get(self._known["jwks_uri"]))  # type: ignore[arg-type]
            except (JoseError, ValueError, TypeError, KeyError) as error:
                raise self._unavailable("its keys cannot be read") from error
            except BusUnavailable:
                self._keys_asked = 0.0
                raise

    async def _discovered(self) -> Mapping[str, Any]:
        """Return what the provider says of itself (OpenID Connect Discovery 1.0, section 4)."""
        if self._known and time.monotonic() - self._asked < FRESH:
            return self._known
        known = await self._get(f"{self.issuer.rstrip('/')}{_DISCOVERY}")
        if known.get("issuer") != self.issuer:
            raise self._unavailable(f"it calls itself {str(known.get('issuer'))[:200]!r}")
        for name in _NEEDED:
            if not isinstance(known.get(name), str) or not _is_safe(known[name]):
                raise self._unavailable(f"its {name} is missing or without TLS")
        self._known, self._asked = dict(known), time.monotonic()
        return self._known

    async def _exchanged(self, endpoint: str, code: str, verifier: str) -> Mapping[str, Any]:
        """Return what the provider gives for a code (RFC 6749, sections 2.3.1 and 4.1.3)."""
        asked = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._back,
            "code_verifier": verifier,
        }
        login: httpx.BasicAuth | None = None
        if self._secret and self._settings.client_authentication == "client_secret_basic":
            login = httpx.BasicAuth(quote_plus(self._client_id), quote_plus(self._secret))
        else:
            asked["client_id"] = self._client_id
            asked |= {"client_secret": self._secret} if self._secret else {}
        status, received = await self._answer("POST", endpoint, data=asked, auth=login)
        if status >= 500:
            raise self._unavailable(f"{endpoint} answered {status}")
        if status != 200:
            reason = str(received.get("error_description") or received.get("error") or status)
            raise NotAuthenticated(f"the provider refused: {reason[:200]}", where=self.issuer)
        return received

    async def _get(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        status, read = await self._answer("GET", url, headers=headers)
        if status != 200:
            raise self._unavailable(f"{url} answered {status}")
        return read

    async def _answer(self, method: str, url: str, **asked: Any) -> tuple[int, dict[str, Any]]:
        """Return a status, and the object of JSON that came with it, if it is not too large."""
        body = b""
        try:
            async with (
                asyncio.timeout(PATIENCE),
                httpx.AsyncClient(verify=self._trust, timeout=PATIENCE) as client,
                client.stream(method, url, **asked) as answer,
            ):
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > LARGEST:
                        raise self._unavailable(f"{url} is too large")
            read = httpx.Response(200, content=body).json() if body else {}
        except TimeoutError as error:
            raise self._unavailable(f"no answer within {PATIENCE:.0f} seconds") from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
            raise self._unavailable(str(error).partition("\n")[0] or "no answer") from error
        if not isinstance(read, dict):
            raise self._unavailable(f"{url} is no object of JSON")
        return answer.status_code, read

    def _unavailable(self, reason: str) -> BusUnavailable:
        return BusUnavailable(
            f"the provider of identities cannot be used: {reason}",
            where=self.issuer,
            remedy="look whether it is up and portal.oidc.issuer is what it calls itself",
        )


def _with(place: str, asked: Mapping[str, str]) -> str:
    return f"{place}{'&' if '?' in place else '?'}{urlencode(asked)}"


def _is_safe(url: str) -> bool:
    """Whether what is sent there stays between us and it."""
    try:
        place = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return place.scheme == "https" or place.host in {"localhost", "127.0.0.1", "::1"}


def _trust(settings: OpenIdSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise InvalidSettings(
            "cannot be read as certificates in PEM's form",
            where=f"portal.oidc.ca_file, {settings.ca_file}",
            remedy="name the file with the certificate that the provider's leads to",
        ) from error
