"""Connections that go wrong, on every listener of a node alike: broker, registry and ops."""

import asyncio
import datetime as dt
import socket
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import trustme

from bus.errors import BusUnavailable, NotAuthorised
from bus.node import Node
from bus.schemas import SchemaClient
from bus.settings import Address, Settings, load
from tests.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

HOST, TOKEN = "127.0.0.1", "a-token"
LISTENERS = ("broker", "registry", "ops")
YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
SCHEMA = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}


@dataclass
class Town:
    """A node whose listeners all ask for certificates.

    ``authority`` issued its own, ``clients`` issues those of its clients.
    """

    folder: Path
    node: Node
    authority: trustme.CA
    clients: trustme.CA

    def address(self, listener: str) -> Address:
        """Return where a listener is."""
        ready = self.node.ready
        urls = {"broker": ready.broker, "registry": ready.registry, "ops": ready.ops}
        return Address.parse(str(urls[listener]).removeprefix("https://"))

    def trusting(self, owner: str | None = None, by: trustme.CA | None = None) -> ssl.SSLContext:
        """Return the context of a client that shows the certificate of an owner, if any."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if owner is not None:
            issued = (by or self.clients).issue_cert("client.test", common_name=owner)
            issued.configure_cert(context)
        return context

    def count(self, listener: str, reason: str) -> float:
        """Return how many handshakes failed for a reason."""
        failures = self.node._telemetry.handshake_failures
        return float(failures.labels(listener, reason)._value.get())

    def client(self, listener: str, context: ssl.SSLContext) -> httpx.AsyncClient:
        """Return a client of HTTP."""
        base = f"https://{self.address(listener)}"
        return httpx.AsyncClient(base_url=base, verify=context, trust_env=False)

    def settings(self, owner: str, by: trustme.CA) -> Settings:
        """Return the settings of a client with a certificate."""
        file = self.folder / f"{owner}.pem"
        issued = by.issue_cert("client.test", common_name=owner)
        issued.private_key_and_cert_chain_pem.write_to_path(file)
        return self.node.settings.model_copy(
            update={
                "kafka": self.node.settings.kafka.model_copy(update={"certificate_file": file}),
                "registry": self.node.settings.registry.model_copy(
                    update={
                        "url": self.node.ready.registry,
                        "ca_file": self.node.settings.kafka.ca_file,
                    }
                ),
            }
        )


def certify(folder: Path, authority: trustme.CA, **when: dt.datetime) -> None:
    """Give the node a certificate."""
    made = folder / "node.new"
    issued = authority.issue_cert(HOST, **when)  # type: ignore[arg-type]  # it has other options
    issued.private_key_and_cert_chain_pem.write_to_path(made)
    made.rename(folder / "node.pem")


@asynccontextmanager
async def town(folder: Path, asked: str) -> AsyncIterator[Town]:
    """Run a node whose listeners ask for certificates."""
    authority, clients = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    clients.cert_pem.write_to_path(folder / "clients.pem")
    certify(folder, authority)
    own = clients.issue_cert("node.test", common_name="node")
    own.private_key_and_cert_chain_pem.write_to_path(folder / "own.pem")
    (folder / "token").write_text(TOKEN)
    given: dict[str, Any] = {
        "data": folder / "data",
        "broker.super_users": "User:node",
        "registry.writers": "User:meter",
        "ops.readers": "User:meter",
        "ops.token_file": folder / "token",
        "kafka.ca_file": folder / "ca.pem",
        "kafka.certificate_file": folder / "own.pem",
    }
    for listener in LISTENERS:
        given |= {
            f"{listener}.listen": f"{HOST}:0",
            f"{listener}.certificate_file": folder / "node.pem",
            f"{listener}.client_ca_file": folder / "clients.pem",
            f"{listener}.client_certificate": asked,
            f"{listener}.principal_mapping": r"RULE:^CN=(\w+),.*$/$1/",
        }
    settings = load(given, environ={}, directory=folder)
    async with Node(settings, ("broker", "registry")) as node:
        yield Town(folder, node, authority, clients)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A node where a certificate is one way to log in."""
    async with town(tmp_path_factory.mktemp("open"), "optional") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strict_town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A node where it is the only one."""
    async with town(tmp_path_factory.mktemp("strict"), "required") as running:
        yield running


def connect(address: Address, context: ssl.SSLContext | None, name: str = HOST) -> None:
    """Connect with a client that says why it goes, and wait until it is refused or cut off."""
    with socket.create_connection((address.host, address.port), timeout=15) as connection:
        if context is None:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            connection.recv(1)
            return
        with context.wrap_socket(connection, server_hostname=name) as encrypted:
            encrypted.sendall(b"\0")
            encrypted.recv(1)


def old(town: Town) -> ssl.SSLContext:
    """Return the context of a client that speaks TLS 1.1."""
    context = town.trusting()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    return context


def expired(town: Town) -> ssl.SSLContext:
    """Return the context of a client whose certificate has expired."""
    context = town.trusting()
    leaf = town.clients.issue_cert(
        "client.test", common_name="meter", not_before=YESTERDAY, not_after=YESTERDAY
    )
    leaf.configure_cert(context)
    return context


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize(
    ("context", "reason"),
    [
        pytest.param(lambda _: None, "no TLS", id="no TLS"),
        pytest.param(old, "TLS older than 1.2", id="old TLS"),
        pytest.param(
            lambda _: ssl.create_default_context(),
            "the client does not trust our certificate",
            id="an authority that the client does not know",
        ),
        pytest.param(
            lambda town: town.trusting("meter", by=trustme.CA()),
            "the client's certificate is of another CA",
            id="a client's certificate of another authority",
        ),
        pytest.param(
            expired, "the client's certificate has expired", id="a client's expired certificate"
        ),
    ],
)
async def test_a_handshake_that_fails_is_counted_and_told(
    open_town: Town,
    caplog: pytest.LogCaptureFixture,
    listener: str,
    context: Callable[[Town], ssl.SSLContext | None],
    reason: str,
) -> None:
    before = open_town.count(listener, reason)
    with suppress(OSError):
        await asyncio.to_thread(connect, open_town.address(listener), context(open_town))
    await until(lambda: open_town.count(listener, reason) == before + 1)
    assert f'no TLS host="{HOST}" at={listener} reason="{reason}"' in caplog.text


@pytest.mark.parametrize("listener", LISTENERS)
async def test_another_host_is_refused_by_the_client(open_town: Town, listener: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"elsewhere\.test"):
        await asyncio.to_thread(
            connect, open_town.address(listener), open_town.trusting(), "elsewhere.test"
        )


@pytest.mark.parametrize("listener", LISTENERS)
async def test_a_certificate_whose_owner_is_nobody_is_no_login(
    open_town: Town, caplog: pytest.LogCaptureFixture, listener: str
) -> None:
    with suppress(OSError):
        await asyncio.to_thread(
            connect, open_town.address(listener), open_town.trusting(f"not {listener}")
        )
    await until(lambda: f'login refused user="CN=not {listener}' in caplog.text)
    assert "mechanism=certificate" in caplog.text


@pytest.mark.parametrize("listener", LISTENERS)
async def test_where_a_certificate_is_required_who_shows_none_is_refused(
    strict_town: Town, listener: str
) -> None:
    reason = "no client certificate"
    before = strict_town.count(listener, reason)
    with suppress(OSError):
        await asyncio.to_thread(connect, strict_town.address(listener), strict_town.trusting())
    await until(lambda: strict_town.count(listener, reason) == before + 1)


async def test_an_expired_certificate_of_the_node_is_refused_by_clients(tmp_path: Path) -> None:
    async with town(tmp_path, "optional") as running:
        certify(tmp_path, running.authority, not_before=YESTERDAY, not_after=YESTERDAY)
        for listener in LISTENERS:

            async def refused(listener: str = listener) -> bool:
                context = running.trusting()
                try:
                    await asyncio.to_thread(shake_hands, running.address(listener), context)
                except ssl.SSLCertVerificationError as error:
                    return "expired" in str(error)
                return False

            await until(refused)
            reason = "our certificate has expired, says the client"
            await until(partial(counted, running, listener, reason))


def counted(town: Town, listener: str, reason: str) -> bool:
    """Say whether a handshake failed for a reason."""
    return town.count(listener, reason) > 0


def shake_hands(address: Address, context: ssl.SSLContext) -> None:
    """Agree on TLS and go."""
    with (
        socket.create_connection((address.host, address.port), timeout=15) as connection,
        context.wrap_socket(connection, server_hostname=HOST),
    ):
        pass


async def test_at_the_registry_a_certificate_is_a_login(strict_town: Town) -> None:
    """Whoever has one may read, and those who are named may write."""
    async with SchemaClient.of(strict_town.settings("meter", strict_town.clients)) as client:
        assert await client.register("faults.test-value", SCHEMA) > 0
    async with SchemaClient.of(strict_town.settings("reader", strict_town.clients)) as client:
        assert await client.id_of("faults.test-value", SCHEMA) > 0
        with pytest.raises(NotAuthorised, match="may read here, but not write"):
            await client.register("faults.test-value", SCHEMA)


async def test_who_lacks_a_certificate_is_told_so(strict_town: Town) -> None:
    settings = strict_town.settings("stranger", trustme.CA())
    nameless = settings.kafka.model_copy(update={"certificate_file": None})
    for kafka in (settings.kafka, nameless):
        given = settings.model_copy(update={"kafka": kafka})
        async with SchemaClient.of(given) as client:
            with pytest.raises(BusUnavailable, match=r"check kafka\.certificate_file"):
                await client.subjects()


@pytest.mark.parametrize(
    ("owner", "authorization", "status"),
    [
        pytest.param(None, None, 401, id="nothing"),
        pytest.param(None, "Basic bm9ib2R5Ondyb25n", 401, id="a wrong password"),
        pytest.param("reader", None, 200, id="a certificate"),
    ],
)
async def test_at_the_registry_it_is_one_of_two_where_it_is_optional(
    open_town: Town,
    caplog: pytest.LogCaptureFixture,
    owner: str | None,
    authorization: str | None,
    status: int,
) -> None:
    headers = {"authorization": authorization} if authorization else {}
    async with open_town.client("registry", open_town.trusting(owner)) as client:
        assert (await client.get("/subjects", headers=headers)).status_code == status
    assert (status == 200) == ("at=registry" not in caplog.text)


@pytest.mark.parametrize(
    ("owner", "authorization", "status", "told"),
    [
        pytest.param(None, None, 401, 'reason="no token"', id="nothing"),
        pytest.param(None, "Bearer wrong", 401, 'reason="another token"', id="a wrong token"),
        pytest.param(None, f"Bearer {TOKEN}", 200, "", id="the token"),
        pytest.param("meter", None, 200, "", id="a reader's certificate"),
        pytest.param(
            "other", None, 403, 'principal="User:other"', id="the certificate of somebody else"
        ),
        pytest.param("other", f"Bearer {TOKEN}", 200, "", id="it and the token"),
    ],
)
async def test_metrics_are_for_who_has_the_token_or_a_readers_certificate(
    open_town: Town,
    caplog: pytest.LogCaptureFixture,
    owner: str | None,
    authorization: str | None,
    status: int,
    told: str,
) -> None:
    headers = {"authorization": authorization} if authorization else {}
    async with open_town.client("ops", open_town.trusting(owner)) as client:
        assert (await client.get("/metrics", headers=headers)).status_code == status
        assert (await client.get("/healthz")).status_code == 200
    lines = [one for one in caplog.messages if "login refused" in one and "at=ops" in one]
    assert [told in one for one in lines] == ([True] if told else [])


async def test_who_tries_many_tokens_fills_no_log(
    open_town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_town.client("ops", open_town.trusting()) as client:
        for number in range(20):
            headers = {"authorization": f"Bearer {number}"}
            assert (await client.get("/metrics", headers=headers)).status_code == 401
    assert sum("at=ops" in one for one in caplog.messages) <= 3
    assert "Bearer" not in caplog.text
