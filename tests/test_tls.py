"""TLS of a listener: which versions, whose certificate, and a new one without a restart."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from bus.errors import InvalidSettings
from bus.tls import Certificate, client_context
from tests.clock import Clock
from tests.strangers import listening

SETTING = "broker.certificate_file"


async def says_hello(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    writer.close()


def issue(folder: Path, *names: str) -> trustme.CA:
    """Write a certificate and its key for these names, and return the CA that signed it."""
    authority = trustme.CA()
    issued = authority.issue_cert(*names)
    (folder / "node.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    (folder / "node.key").write_bytes(issued.private_key_pem.bytes())
    return authority


async def shake_hands(place: str, authority: trustme.CA, **limits: ssl.TLSVersion) -> str:
    """Connect and return the version of TLS that was agreed on."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.set_ciphers("ALL:@SECLEVEL=0")  # or OpenSSL itself would not speak what is old
    for name, version in limits.items():
        setattr(context, f"{name}_version", version)
    host, _, port = place.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    assert await reader.read() == b"hello"
    version = writer.get_extra_info("ssl_object").version()
    writer.transport.abort()
    return str(version)


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    return issue(tmp_path, "127.0.0.1")


@pytest.fixture
async def place(tmp_path: Path, authority: trustme.CA, clock: Clock) -> AsyncIterator[str]:
    """The address of a listener that shows what the files hold."""
    pem, key = tmp_path / "node.pem", tmp_path / "node.key"
    certificate = Certificate(pem, key, setting=SETTING, clock=clock)
    async with listening(says_hello, certificate.context) as address:
        yield address


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_it_speaks(place: str, authority: trustme.CA, version: ssl.TLSVersion) -> None:
    agreed = await shake_hands(place, authority, minimum=version, maximum=version)
    assert agreed == version.name.replace("_", ".")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_older_versions_are_refused(place: str, authority: trustme.CA) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await shake_hands(
            place, authority, minimum=ssl.TLSVersion.TLSv1, maximum=ssl.TLSVersion.TLSv1_1
        )


async def test_a_renewed_certificate_is_shown_to_who_connects_next(
    tmp_path: Path, place: str, authority: trustme.CA, clock: Clock
) -> None:
    await shake_hands(place, authority)
    renewed = issue(tmp_path, "127.0.0.1")
    clock.now += 2
    await shake_hands(place, renewed)
    with pytest.raises(ssl.SSLCertVerificationError):
        await shake_hands(place, authority)


async def test_half_a_pair_leaves_the_last_good_one_in_use(
    tmp_path: Path,
    place: str,
    authority: trustme.CA,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = (tmp_path / "node.key").read_bytes()
    renewed = issue(tmp_path, "127.0.0.1")
    other = (tmp_path / "node.key").read_bytes()
    (tmp_path / "node.key").write_bytes(key)
    clock.now += 2
    with caplog.at_level(logging.WARNING):
        await shake_hands(place, authority)
    assert "the last good certificate stays in use" in caplog.text
    assert "the key is none of the certificate's" in caplog.text
    (tmp_path / "node.key").write_bytes(other)
    clock.now += 2
    await shake_hands(place, renewed)


@pytest.mark.parametrize(
    ("pem", "key", "why"),
    [
        pytest.param("absent.pem", "node.key", "no such file", id="no certificate"),
        pytest.param("node.pem", "absent.key", "no such file", id="no key"),
        pytest.param("node.key", "node.key", "none in PEM's form", id="no certificate in the file"),
        pytest.param("node.pem", "other.key", "none of the certificate's", id="another's key"),
    ],
)
def test_files_that_cannot_be_used_are_refused(
    tmp_path: Path, authority: trustme.CA, pem: str, key: str, why: str
) -> None:
    other = trustme.CA().issue_cert("127.0.0.1")
    (tmp_path / "other.key").write_bytes(other.private_key_pem.bytes())
    with pytest.raises(InvalidSettings, match=why) as refused:
        Certificate(tmp_path / pem, tmp_path / key, setting=SETTING)
    assert str(tmp_path / pem) in refused.value.where


@pytest.mark.parametrize(
    ("ca", "own", "where"),
    [
        pytest.param("absent.pem", None, "x.ca_file", id="no authority"),
        pytest.param("node.pem", "absent.pem", "kafka.certificate_file", id="no certificate"),
        pytest.param("node.pem", "node.pem", "kafka.certificate_file", id="no key"),
    ],
)
def test_what_a_client_cannot_use_is_named(
    tmp_path: Path, authority: trustme.CA, ca: str, own: str | None, where: str
) -> None:
    shown = None if own is None else (tmp_path / own, None)
    with pytest.raises(InvalidSettings) as refused:
        client_context(tmp_path / ca, shown, setting="x.ca_file")
    assert where in str(refused.value.where)
