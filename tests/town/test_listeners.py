"""Faults of the connection, on the registry's and the ops listener, and what our clients say."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from starlette.applications import Starlette

from bus.errors import BusError, BusUnavailable, InvalidSettings, NotAuthenticated
from bus.http import HttpListener
from bus.schemas import SchemaClient
from bus.security import certificates
from bus.settings import Address, KafkaSettings, RegistrySettings, Settings
from bus.telemetry import Telemetry
from tests.strangers import closes, listening
from tests.town.conftest import PUBLISHER, Town, says

pytestmark = pytest.mark.slow

LISTENERS = ["registry", "ops"]
NOW = datetime.now(UTC)


async def first_byte(address: Address, context: ssl.SSLContext | None, name: str | None) -> bytes:
    """Ask by HTTP and return the beginning of the answer."""
    reader, writer = await asyncio.open_connection(
        address.host, address.port, ssl=context, server_hostname=name
    )
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return await asyncio.wait_for(reader.read(4), 10)
    finally:
        writer.transport.abort()


def trusting(ca: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca))
    context.set_ciphers("ALL:@SECLEVEL=0")  # or OpenSSL itself would not speak what is old
    return context


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_it_answers_over_tls(town: Town, listener: str, version: ssl.TLSVersion) -> None:
    context = trusting(town.folder.ca)
    context.minimum_version = context.maximum_version = version
    assert await first_byte(town.address(listener), context, "localhost") == b"HTTP"


@pytest.mark.parametrize("listener", LISTENERS)
async def test_without_tls_there_is_no_answer(town: Town, listener: str) -> None:
    with suppress(ConnectionError):  # closed without a word, which is as good
        assert await first_byte(town.address(listener), None, None) != b"HTTP"


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_old_tls_is_refused(town: Town, listener: str) -> None:
    context = trusting(town.folder.ca)
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        await first_byte(town.address(listener), context, "localhost")


@pytest.mark.parametrize("listener", LISTENERS)
async def test_its_certificate_is_the_towns_and_bears_its_names(
    town: Town, listener: str, tmp_path: Path
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        await first_byte(town.address(listener), trusting(town.folder.ca), "other.example")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        await first_byte(town.address(listener), trusting(tmp_path / "other.pem"), "localhost")


@pytest.mark.parametrize(
    ("path", "header", "status"),
    [
        pytest.param("/metrics", None, 401, id="no token"),
        pytest.param("/metrics", "Bearer wrong", 401, id="wrong token"),
        pytest.param("/metrics", "Basic {token}", 401, id="another scheme"),
        pytest.param("/metrics", "Bearer {token}", 200, id="the token"),
        pytest.param("/healthz", None, 200, id="health needs none"),
        pytest.param("/readyz", None, 200, id="readiness needs none"),
    ],
)
async def test_metrics_are_read_with_a_token(
    town: Town, path: str, header: str | None, status: int
) -> None:
    token = town.folder.token.read_text().strip()
    headers = {"authorization": header.format(token=token)} if header else {}
    async with httpx.AsyncClient(verify=trusting(town.folder.ca)) as client:
        answer = await client.get(f"{town.node.ready['ops']}{path}", headers=headers)
    assert answer.status_code == status
    if path == "/metrics":
        assert ("stadtbus_certificate_expiry_timestamp_seconds" in answer.text) == (status == 200)


@pytest.mark.parametrize(
    ("login", "status", "code"),
    [
        pytest.param(None, 401, 40101, id="no login"),
        pytest.param((PUBLISHER, "wrong"), 401, 40101, id="wrong password"),
        pytest.param(("nobody-knows", "x"), 401, 40101, id="unknown user"),
        pytest.param((PUBLISHER, ""), 401, 40101, id="empty password"),
        pytest.param((PUBLISHER, None), 200, None, id="a user"),
    ],
)
async def test_the_registry_asks_for_a_login(
    town: Town, login: tuple[str, str | None] | None, status: int, code: int | None
) -> None:
    auth = None
    if login is not None:
        password = town.password(PUBLISHER) if login[1] is None else login[1]
        auth = httpx.BasicAuth(login[0], password)
    async with httpx.AsyncClient(verify=trusting(town.folder.ca), auth=auth) as client:
        for path in ("/subjects", "/schemas/ids/1", "/nowhere" if code else "/"):
            answer = await client.get(f"{town.node.ready['registry']}{path}")
            assert answer.status_code == status
            assert answer.headers["content-type"].startswith("application/vnd.schemaregistry")
            if code:
                assert answer.json()["error_code"] == code
                assert answer.headers["www-authenticate"].startswith("Basic realm=")


# What our own clients say.


async def asked(url: str, ca: Path | None, login: tuple[str, str] | None = None) -> BusError:
    """Ask a registry for its subjects, and return what goes wrong."""
    with pytest.raises(BusError) as raised:
        async with SchemaClient(url, login=login, ca_file=ca) as client:
            await client.subjects()
    return raised.value


async def test_a_client_says_what_is_wrong_with_the_login(town: Town) -> None:
    url, ca = town.node.ready["registry"], town.folder.ca
    error = await asked(url, ca)
    assert (type(error), error.what) == (NotAuthenticated, "the registry asks for a login")
    assert error.remedy == "set kafka.username and kafka.password_file"
    error = await asked(url, ca, (PUBLISHER, "wrong"))
    assert type(error) is NotAuthenticated
    assert error.what.startswith("the registry refused the login: The engine does not know")
    assert error.where == url


async def test_a_client_says_that_there_is_tls(town: Town) -> None:
    error = await asked(town.node.ready["registry"].replace("https", "http"), None)
    assert type(error) is BusUnavailable
    assert "if the registry speaks TLS, the URL begins with https:" in error.remedy


FREE = Address(host="127.0.0.1", port=0)


def listening_as(settings: RegistrySettings) -> HttpListener:
    return HttpListener(Starlette(), settings, name="registry", telemetry=Telemetry())


async def test_a_client_says_that_there_is_no_tls() -> None:
    listener = listening_as(RegistrySettings(listen=FREE))
    await listener.start()
    error = await asked(listener.url.replace("http", "https"), None)
    await listener.stop()
    assert type(error) is InvalidSettings
    assert "speaks no TLS" in error.what


@asynccontextmanager
async def serving(folder: Path, *names: str, days: int = 365) -> AsyncIterator[tuple[str, Path]]:
    """Run a listener with a certificate of its own; yield its URL and the authority's file."""
    signer = certificates.authority("test", NOW - timedelta(days=400))
    node = certificates.issue(signer, names, NOW - timedelta(days=365 - days))
    (folder / "ca.pem").write_bytes(signer.certificate)
    (folder / "node.pem").write_bytes(node.certificate + node.key)
    settings = RegistrySettings(listen=FREE, certificate_file=folder / "node.pem")
    listener = listening_as(settings)
    await listener.start()
    try:
        yield listener.url, folder / "ca.pem"
    finally:
        await listener.stop()


@pytest.mark.parametrize(
    ("names", "days", "ours", "why", "remedy"),
    [
        pytest.param(["127.0.0.1"], -1, True, "has expired", "certificate renew", id="expired"),
        pytest.param(["other.example"], 365, True, "valid for '127.0.0.1'", "a name", id="host"),
        pytest.param(["127.0.0.1"], 365, False, "get local issuer", "registry.ca_file", id="CA"),
    ],
)
async def test_a_client_says_why_a_certificate_cannot_be_verified(
    tmp_path: Path, names: list[str], days: int, ours: bool, why: str, remedy: str
) -> None:
    async with serving(tmp_path, *names, days=days) as (url, ca):
        error = await asked(url, ca if ours else None)
    assert type(error) is NotAuthenticated
    assert why in error.what
    assert remedy in error.remedy
    assert error.where == url


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_a_client_says_that_the_registrys_tls_is_too_old(tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("127.0.0.1")
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    issued.configure_cert(old)
    async with listening(closes, old) as address:
        error = await asked(f"https://{address}", None)
    assert type(error) is BusUnavailable
    assert error.what.startswith("TLS with the registry fails: ")
    assert "1.2" in error.remedy


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    absent = tmp_path / "absent.pem"
    settings = Settings(
        kafka=KafkaSettings(ca_file=absent), registry=RegistrySettings(url="https://127.0.0.1:1")
    )
    with pytest.raises(InvalidSettings) as refused:
        SchemaClient.of(settings)
    assert str(absent) in refused.value.where


@pytest.mark.parametrize(
    ("variables", "code", "words"),
    [
        pytest.param(
            {"STADTBUS_KAFKA__SECURITY_PROTOCOL": "PLAINTEXT"},
            2,
            ("it speaks TLS, but kafka.security_protocol is PLAINTEXT",),
            id="no TLS",
        ),
        pytest.param(
            {"STADTBUS_KAFKA__SECURITY_PROTOCOL": "SSL"},
            2,
            ("it asks for a login by SCRAM-SHA-512",),
            id="no login",
        ),
        pytest.param(
            {"STADTBUS_KAFKA__SASL_MECHANISM": "PLAIN"},
            5,
            ("it offers a login by SCRAM-SHA-512, not by PLAIN",),
            id="another mechanism",
        ),
        pytest.param(
            {"STADTBUS_KAFKA__CA_FILE": "{other}"},
            5,
            ("its certificate cannot be verified", "kafka.ca_file"),
            id="wrong CA",
        ),
        pytest.param(
            {"STADTBUS_KAFKA__USERNAME": "nobody-knows"},
            5,
            ("the login was refused", "kafka.password_file"),
            id="unknown user",
        ),
    ],
)
def test_a_command_says_what_is_wrong_with_its_connection(
    town: Town, tmp_path: Path, variables: dict[str, Any], code: int, words: tuple[str, ...]
) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    given = {name: text.format(other=tmp_path / "other.pem") for name, text in variables.items()}
    says(town.stadtbus(PUBLISHER, "topic", "ls", **given), code, "✘ BUS-", "Next: ", *words)
