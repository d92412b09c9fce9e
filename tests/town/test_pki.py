"""A node with certificates of a town's own: what it needs for itself, renewal, mTLS."""

import ssl
from functools import partial
from pathlib import Path

import httpx
import pytest
import trustme

from bus.admin import Admin
from bus.errors import InvalidSettings
from bus.node import Node
from bus.security import Folder
from bus.settings import KafkaSettings, load
from bus.tls import LOOK
from tests.waiting import until

pytestmark = pytest.mark.slow

HOST = "127.0.0.1"
FREE = {f"{role}.listen": f"{HOST}:0" for role in ("broker", "registry", "ops")}


def issue(folder: Path, authority: trustme.CA) -> None:
    """Put a new certificate in the place of the one that is there."""
    issued = authority.issue_cert(HOST)
    made = folder / "node.new"
    made.write_bytes(issued.private_key_pem.bytes() + issued.cert_chain_pems[0].bytes())
    made.rename(folder / "node.pem")


@pytest.fixture
def pki(tmp_path: Path) -> trustme.CA:
    """A town's authority, with the node's certificate and the token in the folder."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issue(tmp_path, authority)
    (tmp_path / "ops.token").write_text("a-token\n")
    return authority


def flags(folder: Path) -> dict[str, object]:
    """Return settings that name the town's own files."""
    certificates = {
        f"{role}.certificate_file": folder / "node.pem" for role in ("broker", "registry", "ops")
    }
    return {
        **FREE,
        **certificates,
        "data": folder / "data",
        "ops.token_file": folder / "ops.token",
        "kafka.ca_file": folder / "ca.pem",
    }


def node(folder: Path, given: dict[str, object], *roles: str) -> Node:
    settings = load(given, environ={}, directory=folder)
    return Node(settings, roles or ("broker", "registry"))  # type: ignore[arg-type]  # names of roles


async def test_it_serves_by_the_towns_own_files(tmp_path: Path, pki: trustme.CA) -> None:
    """The node's own user gets in, and can make the town's first."""
    async with node(tmp_path, flags(tmp_path)) as running:
        assert not Folder(tmp_path / "data").exists
        kafka = running.settings.kafka
        assert kafka.username == "stadtbus"
        async with Admin(kafka) as admin:
            assert "sensor.reading.v1" in await admin.topics()
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        async with httpx.AsyncClient(verify=context, auth=kafka.login()) as client:
            answer = await client.get(f"{running.ready.registry}/contracts")
            assert "sensor.reading.v1" in answer.json()
            headers = {"authorization": "Bearer a-token"}
            answer = await client.get(f"{running.ready.ops}/metrics", headers=headers, auth=None)
            assert answer.status_code == 200


async def test_renewed_files_are_noticed(tmp_path: Path, pki: trustme.CA) -> None:
    async with node(tmp_path, flags(tmp_path)) as running:
        new = trustme.CA()
        issue(tmp_path, new)
        new.cert_pem.write_to_path(tmp_path / "new-ca.pem")
        for url in (running.ready.registry, running.ready.ops):
            await until(partial(_trusted, str(url), tmp_path / "new-ca.pem"), 10 * LOOK)


async def _trusted(url: str, ca: Path) -> bool:
    context = ssl.create_default_context(cafile=str(ca))
    try:
        async with httpx.AsyncClient(verify=context) as client:
            await client.get(url)
    except httpx.ConnectError:
        return False
    return True


async def test_certificates_as_the_only_login(tmp_path: Path, pki: trustme.CA) -> None:
    """The node needs one of its own, too, and the registry stays on this machine."""
    asked = {
        **flags(tmp_path),
        "registry.certificate_file": None,
        "broker.client_ca_file": tmp_path / "ca.pem",
        "broker.client_certificate": "required",
        "broker.super_users": "User:CN=the node",
        "broker.principal_mapping": r"RULE:^CN=([^,]+).*$/CN=$1/",
    }
    with pytest.raises(InvalidSettings, match="the node has none for its own connections"):
        async with node(tmp_path, asked):
            pass
    issued = pki.issue_cert("node.town.example", common_name="the node")
    own = tmp_path / "own.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(own)
    async with node(tmp_path, asked | {"kafka.certificate_file": own}) as running:
        kafka = running.settings.kafka
        assert kafka == KafkaSettings(
            bootstrap=kafka.bootstrap,
            security_protocol="SSL",
            ca_file=tmp_path / "ca.pem",
            certificate_file=own,
        )
        async with Admin(kafka) as admin:
            assert "sensor.reading.v1" in await admin.topics()
    with pytest.raises(InvalidSettings, match="has no login"):
        async with node(
            tmp_path,
            asked
            | {
                "kafka.certificate_file": own,
                "registry.listen": "0.0.0.0:0",  # it is refused
                "registry.certificate_file": tmp_path / "node.pem",
            },
        ):
            pass


@pytest.mark.parametrize(
    ("name", "value", "where"),
    [
        ("broker.certificate_file", "absent.pem", "broker.certificate_file"),
        ("registry.certificate_file", "absent.pem", "registry.certificate_file"),
        ("ops.certificate_file", "absent.pem", "ops.certificate_file"),
        ("ops.token_file", "absent.token", "ops.token_file"),
    ],
)
async def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, pki: trustme.CA, name: str, value: str, where: str
) -> None:
    with pytest.raises(InvalidSettings) as refused:
        async with node(tmp_path, flags(tmp_path) | {name: tmp_path / value}):
            pass
    assert where in refused.value.where
    assert value in refused.value.where
