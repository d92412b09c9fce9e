"""Registries on engines that deny everything, and systems on them."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from bus.registry import Registry, reconciling
from bus.rest import RestClient
from bus.settings import Address, KafkaSettings, RegistrySettings, Settings
from bus.telemetry import Telemetry
from bus.trust.client import TrustClient
from tests.city import READINGS
from tests.engine import Engine
from tests.trust.city import City
from tests.waiting import disconnected


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """The file of the authority that signed the registry's certificate, which lies beside it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "registry-ca.pem")
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "registry.pem")
    return tmp_path / "registry-ca.pem"


@pytest.fixture
async def registry(
    denying: Engine, ca: Path, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Registry]:
    monkeypatch.setattr(reconciling, "ANEW", 0.1)
    monkeypatch.setattr(reconciling, "LOOKING", 0.05)
    listen = Address(host="127.0.0.1", port=0)
    given = RegistrySettings(listen=listen, certificate_file=ca.with_name("registry.pem"))
    async with Registry(Settings(kafka=denying.settings, registry=given), telemetry) as running:
        yield running
    await disconnected()


@pytest.fixture
async def client(denying: Engine, registry: Registry, ca: Path) -> AsyncIterator[TrustClient]:
    """The administrator, who brings statements."""
    rest = RestClient(registry.url, login=denying.settings.login(), ca_file=ca)
    async with TrustClient(rest) as client:
        yield client


@pytest.fixture
def name() -> str:
    """A system that no other test has."""
    return f"de.util.u{uuid.uuid4().hex}.anlage"


@pytest.fixture
async def system(denying: Engine, name: str) -> KafkaSettings:
    """How the system reaches the engine; it has a password and no rights."""
    return await denying.secure.add_user(name)


@pytest.fixture
async def city(client: TrustClient, name: str, system: KafkaSettings) -> City:
    """The system's member, which has registered it for the contract of readings."""
    city = City(client, name)
    await city.begin()
    await city.say("system-publishes", {"system": name, "topics": [READINGS]}, city.key)
    return city
