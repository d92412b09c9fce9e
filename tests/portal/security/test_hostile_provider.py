"""A provider, or somebody in its place, that says what it should not: nobody gets in by it."""

import base64
import hmac
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bus.http import HttpListener
from bus.portal import Portal
from bus.portal.security import provider as provider_module
from bus.settings import Address, OpsSettings, load
from bus.telemetry import Telemetry
from tests.portal.city import town
from tests.portal.security.conftest import Reader

CLIENT = "stadtbus"
KEY = RSAKey.generate_key(2048, {"kid": "first", "use": "sig", "alg": "RS256"}, auto_kid=False)
OTHER = RSAKey.generate_key(2048, {"kid": "first", "use": "sig", "alg": "RS256"}, auto_kid=False)
CURVE = ECKey.generate_key("P-256", {"kid": "curve", "use": "sig", "alg": "ES256"}, auto_kid=False)


def signed(claims: dict[str, Any]) -> str:
    """Return a token as the provider would make it."""
    return jwt.encode({"alg": "RS256", "kid": "first"}, claims, KEY)


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def unsigned(claims: dict[str, Any]) -> str:
    return f"{part({'alg': 'none'})}.{part(claims)}."


def by_public_key(claims: dict[str, Any]) -> str:
    """Sign with what everybody knows, as if it were a shared secret."""
    text = f"{part({'alg': 'HS256', 'kid': 'first'})}.{part(claims)}"
    mark = hmac.digest(KEY.as_pem(private=False), text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"


def spliced(claims: dict[str, Any]) -> str:
    """Put other claims before a signature that is right for its own."""
    return f"{signed(claims).rpartition('.')[0]}.{signed({}).rpartition('.')[2]}"


def by_own_key(claims: dict[str, Any]) -> str:
    """Bring the key along that the token is signed by."""
    header = {"alg": "RS256", "jwk": OTHER.as_dict(private=False)}
    return jwt.encode(header, claims, OTHER)


@dataclass
class Provider:
    """What it says; a test changes it.

    Attributes:
        claims: beside those that are right.
        make: makes the token.
        configuration: beside what is right.
        keys: that it says it has.
        userinfo: what it says of somebody beside the token.
        status: what it answers a code with.
    """

    claims: dict[str, Any] = field(default_factory=dict)
    make: Callable[[dict[str, Any]], str] = signed
    configuration: dict[str, Any] = field(default_factory=dict)
    keys: list[Any] = field(default_factory=lambda: [KEY])
    userinfo: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    issuer: str = ""
    nonce: str = ""
    asked_for_keys: int = 0

    def app(self) -> Starlette:
        """Return it as an application."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._configuration),
                Route("/keys", self._keys),
                Route("/token", self._token, methods=["POST"]),
                Route("/userinfo", self._userinfo),
            ]
        )

    async def _configuration(self, _: Request) -> Response:
        places = {"authorization_endpoint": "auth", "token_endpoint": "token", "jwks_uri": "keys"}
        places["userinfo_endpoint"] = "userinfo"
        right = {"issuer": self.issuer}
        right |= {name: f"{self.issuer}/{place}" for name, place in places.items()}
        return JSONResponse({**right, **self.configuration})

    async def _keys(self, _: Request) -> Response:
        self.asked_for_keys += 1
        return JSONResponse(KeySet(self.keys).as_dict(private=False))

    async def _token(self, _: Request) -> Response:
        if self.status != 200:
            return JSONResponse({"error": "invalid_grant"}, self.status)
        now = int(time.time())
        right: dict[str, Any] = {
            "iss": self.issuer,
            "sub": "anna",
            "aud": CLIENT,
            "nonce": self.nonce,
        }
        right |= {"iat": now, "exp": now + 60, "groups": ["readers"]}
        claims = {**right, **self.claims}
        claims = {name: value for name, value in claims.items() if value is not None}
        token = {"access_token": "x", "token_type": "Bearer", "id_token": self.make(claims)}
        return JSONResponse(token)

    async def _userinfo(self, _: Request) -> Response:
        return JSONResponse(self.userinfo)


@pytest.fixture
async def provider(telemetry: Telemetry) -> AsyncIterator[Provider]:
    """The provider, running."""
    hostile = Provider()
    free = OpsSettings(listen=Address(host="127.0.0.1", port=0))
    listener = HttpListener(hostile.app(), free, name="ops", telemetry=telemetry)
    await listener.start()
    hostile.issuer = listener.url
    yield hostile
    await listener.stop()


@pytest.fixture
async def reader(provider: Provider, tmp_path: Path, quick: object) -> AsyncIterator[Reader]:
    """A browser at a portal that believes in it."""
    async with portal_of(provider.issuer, tmp_path) as browser:
        yield browser


@asynccontextmanager
async def portal_of(issuer: str, folder: Path) -> AsyncIterator[Reader]:
    """Yield a browser at a portal that believes in a provider."""
    flags = {
        "data": folder,
        "portal.listen": "127.0.0.1:0",
        "portal.login": "always",
        "portal.url": "http://portal.town.example",
        "portal.oidc.issuer": issuer,
        "portal.oidc.client_id": CLIENT,
        "portal.oidc.viewers": "readers",
        "portal.oidc.operators": "operators",
    }
    portal = Portal(load(flags, environ={}, directory=folder), Telemetry(), town(), None)
    await portal.start()
    async with httpx.AsyncClient(base_url=portal.url, headers={"accept-language": "en"}) as http:
        yield Reader(http)
    await portal.stop()


async def log_in(reader: Reader, provider: Provider, **answer: str) -> httpx.Response:
    """Go to the provider and back; parameters beside the right ones come back, too."""
    asked = await reader.http.get("/login/provider?then=/topics")
    assert asked.status_code == 303, asked.text
    query = parse_qs(urlsplit(asked.headers["location"]).query)
    provider.nonce = query["nonce"][0]
    right = {"code": "c", "state": query["state"][0]}
    return await reader.http.get("/login/back", params={**right, **answer})


async def test_what_is_right_gets_in(reader: Reader, provider: Provider) -> None:
    answer = await log_in(reader, provider, iss=provider.issuer)
    assert (answer.status_code, answer.headers["location"]) == (303, "/topics")
    assert (await reader.http.get("/topics")).status_code == 200


NOW = int(time.time())


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"exp": NOW - 3600, "iat": NOW - 7200}, id="expired"),
        pytest.param({"exp": NOW - 61}, id="expired beyond the skew"),
        pytest.param({"exp": None}, id="for ever"),
        pytest.param({"exp": "tomorrow"}, id="until some day"),
        pytest.param({"iat": NOW + 3600}, id="from the future"),
        pytest.param({"nbf": NOW + 3600}, id="not yet"),
        pytest.param({"iss": "https://evil.example"}, id="of another provider"),
        pytest.param({"iss": None}, id="of nobody"),
        pytest.param({"aud": "another-client"}, id="for another client"),
        pytest.param({"aud": [CLIENT, "another"]}, id="for several, without saying whose"),
        pytest.param({"aud": [CLIENT, "another"], "azp": "another"}, id="for several, another's"),
        pytest.param({"azp": "another"}, id="given to another"),
        pytest.param({"aud": {}}, id="for something odd"),
        pytest.param({"aud": None}, id="for nobody"),
        pytest.param({"nonce": "of another login"}, id="of another login"),
        pytest.param({"nonce": None}, id="of no login"),
        pytest.param({"sub": None}, id="about nobody"),
        pytest.param({"sub": 7}, id="about a number"),
        pytest.param({"sub": ""}, id="about an empty name"),
    ],
)
async def test_a_token_with_a_wrong_claim(
    reader: Reader, provider: Provider, claims: dict[str, Any]
) -> None:
    provider.claims = claims
    await _is_refused(reader, provider)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(unsigned, id="unsigned"),
        pytest.param(lambda claims: unsigned(claims).replace("none", "None"), id="odd"),
        pytest.param(by_public_key, id="by the public key as a secret"),
        pytest.param(by_own_key, id="by a key that it brings along"),
        pytest.param(
            lambda claims: jwt.encode({"alg": "RS256", "kid": "first"}, claims, OTHER),
            id="by another key of the same name",
        ),
        pytest.param(
            lambda claims: jwt.encode({"alg": "ES256", "kid": "curve"}, claims, CURVE),
            id="by an unknown key",
        ),
        pytest.param(lambda claims: signed(claims)[:-4] + "AAAA", id="changed"),
        pytest.param(spliced, id="cut and pasted"),
        pytest.param(lambda _: "", id="empty"),
        pytest.param(lambda _: "a.b.c", id="nonsense"),
        pytest.param(lambda _: f"{part([])}.{part([])}.x", id="lists"),
        pytest.param(lambda _: "é" * 10, id="no ASCII"),
        pytest.param(lambda _: 7, id="a number"),
    ],
)
async def test_a_token_that_the_provider_did_not_sign(
    reader: Reader, provider: Provider, make: Callable[[dict[str, Any]], str]
) -> None:
    provider.make = make
    await _is_refused(reader, provider)


async def _is_refused(reader: Reader, provider: Provider) -> None:
    answer = await log_in(reader, provider)
    assert answer.status_code == 401
    assert "The login was refused" in answer.text
    assert "stadtbus" not in answer.cookies
    assert (await reader.http.get("/topics")).status_code == 303


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"state": "of another login"}, id="another state"),
        pytest.param({"state": ""}, id="no state"),
        pytest.param({"iss": "https://evil.example"}, id="another provider"),
    ],
)
async def test_an_answer_that_belongs_to_no_login(
    reader: Reader, provider: Provider, answer: dict[str, str]
) -> None:
    assert (await log_in(reader, provider, **answer)).status_code == 401
    assert (await reader.http.get("/topics")).status_code == 303


async def test_a_refusal_is_said(reader: Reader, provider: Provider) -> None:
    provider.status = 400
    assert (await log_in(reader, provider)).status_code == 401
    assert (await reader.http.get("/login/back?error=access_denied&state=x")).status_code == 401
    assert (await reader.http.get("/login/back")).status_code == 401


async def test_somebody_else_s_facts_are_not_taken(reader: Reader, provider: Provider) -> None:
    provider.claims, provider.userinfo = {"groups": None}, {"sub": "bert", "groups": ["readers"]}
    assert (await log_in(reader, provider)).status_code == 401
    provider.userinfo = {"sub": "anna", "groups": ["readers"]}
    assert (await log_in(reader, provider)).status_code == 303


async def test_clocks_may_differ_a_little(reader: Reader, provider: Provider) -> None:
    now = int(time.time())
    provider.claims = {"iat": now + 30, "exp": now - 30}
    assert (await log_in(reader, provider)).status_code == 303


async def test_new_keys_are_asked_for_but_not_without_end(
    reader: Reader, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await log_in(reader, provider)).status_code == 303
    provider.keys = [CURVE]
    provider.make = lambda claims: jwt.encode({"alg": "ES256", "kid": "curve"}, claims, CURVE)
    for _ in range(5):
        assert (await log_in(reader, provider)).status_code == 401
    assert provider.asked_for_keys == 1
    monkeypatch.setattr(provider_module, "KEYS_AT_MOST", 0.0)
    assert (await log_in(reader, provider)).status_code == 303
    assert provider.asked_for_keys == 2


@pytest.mark.parametrize(
    "configuration",
    [
        pytest.param({"issuer": "https://evil.example"}, id="another provider's"),
        pytest.param({"token_endpoint": "http://evil.example/token"}, id="without TLS"),
        pytest.param({"jwks_uri": None}, id="without keys"),
        pytest.param({"authorization_endpoint": 7}, id="a number"),
        pytest.param({"authorization_endpoint": "https://[::1"}, id="no address"),
        pytest.param({"padding": "x" * provider_module.LARGEST}, id="too large"),
    ],
)
async def test_a_provider_that_is_none(
    reader: Reader, provider: Provider, configuration: dict[str, Any]
) -> None:
    provider.configuration = configuration
    answer = await reader.http.get("/login/provider")
    assert answer.status_code == 503
    assert "does not answer just now" in answer.text
    assert 'name="password"' in answer.text


async def test_a_provider_that_nests_without_end(
    reader: Reader, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_module, "LARGEST", 2**20)
    monkeypatch.setattr(JSONResponse, "render", lambda self, content: b"[" * 200_000)
    answer = await reader.http.get("/login/provider")
    assert (answer.status_code, "does not answer just now" in answer.text) == (503, True)


async def test_a_provider_that_fails_in_between(reader: Reader, provider: Provider) -> None:
    provider.status = 500
    failed = await log_in(reader, provider)
    assert failed.status_code == 503
    assert "does not answer just now" in failed.text
    provider.status = 200
    assert (await log_in(reader, provider)).status_code == 303


async def test_a_provider_that_is_away(tmp_path: Path, quick: object) -> None:
    with socket.socket() as taken:  # bound, and nobody listens there
        taken.bind(("127.0.0.1", 0))
        async with portal_of(f"http://127.0.0.1:{taken.getsockname()[1]}", tmp_path) as reader:
            answer = await reader.http.get("/login/provider")
            assert answer.status_code == 503
            assert "does not answer just now" in answer.text
