"""A registry that asks for a login, on either engine: the engine's users are its users."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import trustme

from bus.errors import InvalidSettings, NotAuthenticated, NotAuthorised
from bus.registry import Registry
from bus.schemas import SchemaClient
from bus.settings import Address, KafkaSettings, RegistrySettings, Settings
from bus.telemetry import Telemetry
from tests.engine import Engine

pytestmark = pytest.mark.slow

FREE = Address(host="127.0.0.1", port=0)
SCHEMA = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """The file of the authority that signed the registry's certificate, which lies beside it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "registry-ca.pem")
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "registry.pem")
    return tmp_path / "registry-ca.pem"


@pytest.fixture
async def registry(denying: Engine, ca: Path) -> AsyncIterator[Registry]:
    """A registry over TLS, which lets one user beside the node's own write."""
    given = RegistrySettings(
        listen=FREE, certificate_file=ca.with_name("registry.pem"), writers=("User:writer",)
    )
    settings = Settings(kafka=denying.settings, registry=given)
    async with Registry(settings, Telemetry()) as running:
        yield running


def settings(registry: Registry, kafka: KafkaSettings, ca: Path) -> Settings:
    return Settings(kafka=kafka, registry=RegistrySettings(url=registry.url, ca_file=ca))


async def test_users_read_and_those_who_are_named_write(
    registry: Registry, denying: Engine, ca: Path
) -> None:
    writer, reader = [await denying.secure.add_user(name) for name in ("writer", "reader")]
    for kafka in (denying.settings, writer):
        async with SchemaClient.of(settings(registry, kafka, ca)) as client:
            assert await client.register("login.test-value", SCHEMA) > 0
    async with SchemaClient.of(settings(registry, reader, ca)) as client:
        assert await client.id_of("login.test-value", SCHEMA) > 0
        assert await client.check("login.test-value", SCHEMA) == ([], [])
        with pytest.raises(NotAuthorised, match="may read here, but not write"):
            await client.register("login.test-value", SCHEMA)
    stranger = reader.model_copy(update={"username": "stranger"})
    async with SchemaClient.of(settings(registry, stranger, ca)) as client:
        with pytest.raises(NotAuthenticated, match="refused the login"):
            await client.subjects()


async def test_what_everybody_asks_for_is_no_way_around(registry: Registry, ca: Path) -> None:
    """Not even a schema by its id, which is answered before all else."""
    async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=str(ca))) as client:
        for path in ("/schemas/ids/1", "/schemas/ids/1/", "//schemas/ids/1", "/", "/%2e"):
            answer = await client.get(f"{registry.url}{path}")
            assert answer.status_code == 401, path


async def test_where_the_engine_knows_nobody_there_is_tls_on_loopback_alone(
    bare: KafkaSettings, ca: Path
) -> None:
    given = RegistrySettings(listen=FREE, certificate_file=ca.with_name("registry.pem"))
    async with (
        Registry(Settings(kafka=bare, registry=given), Telemetry()) as running,
        SchemaClient(running.url, ca_file=ca) as client,
    ):
        assert await client.contracts()
    anywhere = given.model_copy(update={"listen": Address(host="0.0.0.0", port=0)})  # noqa: S104  # it is refused
    with pytest.raises(InvalidSettings, match="has no login"):
        async with Registry(Settings(kafka=bare, registry=anywhere), Telemetry()):
            pass
