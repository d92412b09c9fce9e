"""Connections to a secured broker that go wrong, and certificates: what is told, what is logged."""

import asyncio
import datetime as dt
import socket
import ssl
import struct
import warnings
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme
from confluent_kafka import Producer

from bus.broker import Broker
from bus.broker.security.session import MOST_LOGIN_BYTES
from bus.errors import InvalidSettings
from bus.settings import Address, BrokerSettings
from bus.telemetry import Telemetry
from tests.broker.raw import Raw
from tests.engines.login import authenticate, encrypted, log_in, prove, shake_hands
from tests.engines.rights import whole
from tests.secured import HOST, SecuredBroker
from tests.waiting import until

VERSIONS = {"client_software_name": "tests", "client_software_version": "1"}
YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """A broker that takes every mechanism and, if a client shows one, a certificate."""
    with SecuredBroker(
        tmp_path_factory.mktemp("secured"),
        sasl_mechanisms=("PLAIN", "SCRAM-SHA-512"),
        client_certificate="optional",
        principal_mapping="RULE:^CN=(\\w+),.*$/$1/",
    ) as broker:
        yield broker


def trusting(broker: SecuredBroker) -> ssl.SSLContext:
    """Return what a client trusts the broker with."""
    return ssl.create_default_context(cafile=str(broker.ca_file))


async def connected(broker: SecuredBroker, context: ssl.SSLContext) -> Raw:
    """Connect with TLS."""
    address = broker.address
    return Raw(
        *await asyncio.open_connection(
            address.host, address.port, ssl=context, server_hostname=HOST, limit=2**24
        )
    )


async def served(raw: Raw) -> bool:
    """Say whether one may ask what needs a login."""
    raw.send(3, 9, **whole(3, 9, {}))
    return await raw.answer() != b""


def failures(broker: SecuredBroker, reason: str) -> float:
    """Return how many handshakes failed for a reason."""
    return float(broker.telemetry.handshake_failures.labels("broker", reason)._value.get())


def showing(broker: SecuredBroker, certificate: trustme.LeafCert) -> ssl.SSLContext:
    """Return the context of a client that has a certificate."""
    context = trusting(broker)
    certificate.configure_cert(context)
    return context


def connect(address: Address, context: ssl.SSLContext) -> None:
    """Connect with a client that says why it goes; asyncio's own does not."""
    with (
        socket.create_connection((address.host, address.port)) as connection,
        context.wrap_socket(connection, server_hostname=HOST),
    ):
        pass


class TestFaults:
    """Each fault is told in the log, is counted, and hinders nobody else."""

    async def refused(self, broker: SecuredBroker, reason: str, context: ssl.SSLContext) -> None:
        """Try to connect; expect to be refused for this reason."""
        before = failures(broker, reason)
        with suppress(ssl.SSLError, ConnectionError):
            async with await connected(broker, context) as raw:
                assert not await served(raw)
        await until(lambda: failures(broker, reason) == before + 1)

    async def test_no_tls(self, secured: SecuredBroker, caplog: pytest.LogCaptureFixture) -> None:
        """Who speaks no TLS is cut off, and the log says why."""
        before = failures(secured, "no TLS")
        async with await Raw.to(secured.address) as raw:
            raw.send(18, 3, **VERSIONS)
            assert await raw.answer() == b""
        await until(lambda: failures(secured, "no TLS") == before + 1)
        assert 'no TLS host="127.0.0.1" at=broker reason="no TLS"' in caplog.text

    async def test_old_tls(self, secured: SecuredBroker) -> None:
        """TLS 1.1 is too old."""
        old = trusting(secured)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.minimum_version = ssl.TLSVersion.TLSv1
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("DEFAULT@SECLEVEL=0")
        await self.refused(secured, "TLS older than 1.2", old)

    async def test_an_authority_that_the_client_does_not_know(self, secured: SecuredBroker) -> None:
        """A client that does not trust the broker is told apart."""
        reason = "the client does not trust our certificate"
        before = failures(secured, reason)
        with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
            await asyncio.to_thread(connect, secured.address, ssl.create_default_context())
        await until(lambda: failures(secured, reason) == before + 1)

    async def test_a_certificate_that_has_expired(self, tmp_path: Path) -> None:
        """A broker whose certificate has expired is told so by its clients."""
        with SecuredBroker(tmp_path) as broker:
            broker.certify(since=YESTERDAY, until=YESTERDAY)

            async def refused() -> bool:
                try:
                    await asyncio.to_thread(connect, broker.address, trusting(broker))
                except ssl.SSLCertVerificationError as error:
                    return "expired" in str(error)
                return False

            await until(refused)
            await until(
                lambda: failures(broker, "our certificate has expired, says the client") > 0
            )

    async def test_another_host(self, secured: SecuredBroker) -> None:
        """A certificate of another host is refused by the client, and others are served on."""
        with pytest.raises(ssl.SSLCertVerificationError, match=r"elsewhere\.test"):
            await encrypted(secured.address, secured.ca_file, name="elsewhere.test")
        async with await connected(secured, trusting(secured)) as raw:
            assert (await raw.ask(18, 3, **VERSIONS)).error_code == 0

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    async def test_tls(self, secured: SecuredBroker, version: ssl.TLSVersion) -> None:
        """TLS 1.2 and 1.3 are spoken."""
        context = trusting(secured)
        context.minimum_version = context.maximum_version = version
        async with await connected(secured, context) as raw:
            tls = raw.writer.get_extra_info("ssl_object")
            assert tls.version() == version.name.replace("v1_", "v1.")
            assert (await log_in(raw, *secured.settings.login())).error_code == 0

    async def test_a_client_certificate_of_another_authority(self, secured: SecuredBroker) -> None:
        """A client's certificate has to be of the right authority."""
        other = trustme.CA().issue_cert("client.test", common_name="who")
        reason = "the client's certificate is of another CA"
        await self.refused(secured, reason, showing(secured, other))

    async def test_a_client_certificate_that_has_expired(self, secured: SecuredBroker) -> None:
        """A client's certificate has to be in force."""
        old = secured.clients.issue_cert(
            "client.test", common_name="who", not_before=YESTERDAY, not_after=YESTERDAY
        )
        reason = "the client's certificate has expired"
        await self.refused(secured, reason, showing(secured, old))

    async def test_a_stalled_handshake(self, tmp_path: Path) -> None:
        """Who says nothing is cut off after a while, and nobody has to wait for that."""
        with SecuredBroker(tmp_path, handshake_seconds=0.3) as broker:
            async with await Raw.to(broker.address) as silent:
                async with await connected(broker, trusting(broker)) as raw:
                    assert (await log_in(raw, *broker.settings.login())).error_code == 0
                assert await silent.answer() == b""
            await until(lambda: failures(broker, "it took too long") >= 1)

    async def test_strangers_fill_no_log(
        self, secured: SecuredBroker, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Who asks before the login is told of once a minute, however often that happens."""
        caplog.set_level("INFO")
        context = trusting(secured)
        for _ in range(5):
            async with await connected(secured, context) as raw:
                assert not await served(raw)
        told = [one for one in caplog.messages if "before the login" in one]
        assert told == ['not logged in host="127.0.0.1" reason="METADATA before the login"']

    async def test_strangers_take_no_memory(self, tmp_path: Path) -> None:
        """What is announced before the login keeps nobody waiting for memory."""
        memory, large = 2**20, 70_000
        with SecuredBroker(tmp_path, request_memory_bytes=memory) as broker:
            context = trusting(broker)
            async with AsyncExitStack() as opened:
                for _ in range(memory // MOST_LOGIN_BYTES):
                    stranger = await opened.enter_async_context(await connected(broker, context))
                    stranger.writer.write(struct.pack(">i", MOST_LOGIN_BYTES))
                raw = await opened.enter_async_context(await connected(broker, context))
                assert (await log_in(raw, *broker.settings.login())).error_code == 0
                raw.writer.write(struct.pack(">i", large) + bytes(large))
                assert await asyncio.wait_for(raw.answer(), 5) == b""  # read, and refused

    async def test_strangers_have_little_to_say(self, secured: SecuredBroker) -> None:
        """A login needs no large request."""
        async with await connected(secured, trusting(secured)) as raw:
            raw.writer.write(struct.pack(">i", MOST_LOGIN_BYTES + 1))
            assert await raw.answer() == b""


class TestPlain:
    """PLAIN, which sends the password itself."""

    async def test_over_tls(self, secured: SecuredBroker) -> None:
        """Over TLS one may log in by it."""
        user, password = secured.settings.login()
        async with await connected(secured, trusting(secured)) as raw:
            assert (await shake_hands(raw, "PLAIN")).error_code == 0
            told = await authenticate(raw, f"\0{user}\0{password}".encode())
            assert told.error_code == 0
            assert await served(raw)

    @pytest.mark.parametrize(
        ("message", "reason"),
        [
            (b"\0admin\0wrong", "Authentication failed: Invalid username or password"),
            (b"\0stranger\0wrong", "Authentication failed: Invalid username or password"),
            (b"other\0admin\0x", "Authentication failed: Client requested an authorization id"),
            (b"admin", "Authentication failed during authentication due to invalid credentials"),
            (b"\xff\0\xff\0\xff", "Authentication failed during authentication"),
        ],
        ids=["wrong password", "no such user", "as somebody else", "no message", "no text"],
    )
    async def test_refused(self, secured: SecuredBroker, message: bytes, reason: str) -> None:
        """A wrong password and an unknown user are refused alike."""
        async with await connected(secured, trusting(secured)) as raw:
            await shake_hands(raw, "PLAIN")
            told = await authenticate(raw, message)
            assert told.error_code == 58
            assert told.error_message.startswith(reason)
            assert await raw.answer() == b""

    @pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
    async def test_in_clear_text(self, broker: Broker, mechanism: str) -> None:
        """Without TLS nobody can log in, so that no password is ever sent in clear text."""
        async with await Raw.to(broker) as raw:
            told = await shake_hands(raw, mechanism)
            assert (told.error_code, told.mechanisms) == (34, ())
            assert (await authenticate(raw, b"\0admin\0secret")).error_code == 34

    async def test_without_headers(self, secured: SecuredBroker) -> None:
        """Clients of old send the mechanism's messages without a header (SaslHandshake 0)."""
        user, password = secured.settings.login()
        async with await connected(secured, trusting(secured)) as raw:
            assert (await raw.ask(17, 0, mechanism="PLAIN")).error_code == 0
            token = f"\0{user}\0{password}".encode()
            raw.writer.write(len(token).to_bytes(4) + token)
            assert (await raw.reader.readexactly(4)) == bytes(4)
            assert await served(raw)

    async def test_a_wrong_password_without_headers(self, secured: SecuredBroker) -> None:
        """There is no way to tell them why they are refused."""
        async with await connected(secured, trusting(secured)) as raw:
            assert (await raw.ask(17, 0, mechanism="PLAIN")).error_code == 0
            raw.writer.write((8).to_bytes(4) + b"\0admin\0x")
            assert await raw.answer() == b""


class TestCertificates:
    """Clients that show a certificate."""

    async def test_the_principal(self, secured: SecuredBroker) -> None:
        """A certificate is a login: its owner may do what rules let its principal do."""
        leaf = secured.clients.issue_cert("client.test", common_name="meter")
        async with await connected(secured, showing(secured, leaf)) as raw:
            assert await served(raw)
            assert (await raw.create("certificates")).error_code == 29
            # Who is somebody already may still log in as somebody else, once.
            assert (await log_in(raw, *secured.settings.login())).error_code == 0
            assert (await raw.create("certificates")).error_code == 0

    async def test_nobody(self, secured: SecuredBroker, caplog: pytest.LogCaptureFixture) -> None:
        """A certificate whose owner no rule maps to a principal is no login."""
        leaf = secured.clients.issue_cert("client.test", common_name="two words")
        async with await connected(secured, showing(secured, leaf)) as raw:
            assert not await served(raw)
        await until(lambda: 'user="CN=two words,' in caplog.text)

    async def test_required(self, tmp_path: Path) -> None:
        """Where one is required, who shows none is refused, and nobody is asked for a password."""
        with SecuredBroker(tmp_path, client_certificate="required") as broker:
            with suppress(ssl.SSLError, ConnectionError):
                async with await connected(broker, trusting(broker)) as raw:
                    assert not await served(raw)
            await until(lambda: failures(broker, "no client certificate") == 1)
            leaf = broker.clients.issue_cert("client.test", common_name="meter")
            async with await connected(broker, showing(broker, leaf)) as raw:
                assert await served(raw)
                assert (await shake_hands(raw, "SCRAM-SHA-512")).error_code == 34

    async def test_a_new_one_of_the_broker(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A new certificate is shown to who comes next; a broken one changes nothing."""
        with SecuredBroker(tmp_path) as broker:
            async with await connected(broker, trusting(broker)) as first:
                before = shown(first)
                broker.certify()
                await until(lambda: differs(broker, before))
                assert (await log_in(first, *broker.settings.login())).error_code == 0
            broker.certificate_file.write_text("broken", encoding="utf-8")

            async def noticed() -> bool:
                async with await connected(broker, trusting(broker)) as raw:
                    assert shown(raw) != before
                return "the last good certificate stays in use" in caplog.text

            await until(noticed)
            exposition = broker.telemetry.exposition()
            assert (
                b'stadtbus_certificate_reloads_total{listener="broker",outcome="ok"} 1.0'
                in exposition
            )
            failed = b'stadtbus_certificate_reloads_total{listener="broker",outcome="error"} 1.0'
            assert failed in exposition

    async def test_a_new_authority_of_clients(self, tmp_path: Path) -> None:
        """Once clients are to be of another authority, those of the former are refused."""
        with SecuredBroker(tmp_path, client_certificate="required") as broker:
            old, other = broker.clients, trustme.CA()
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                new = trustme.CA()
                context = showing(broker, new.issue_cert("client.test", common_name="new"))
                former = showing(broker, old.issue_cert("client.test", common_name="old"))
                context.minimum_version = context.maximum_version = version
                former.minimum_version = former.maximum_version = version
                assert await enters(broker, former)
                made = tmp_path / "new.pem"
                new.cert_pem.write_to_path(made)
                made.rename(broker.client_ca_file)
                await until(partial(enters, broker, context))
                assert not await enters(broker, former)
                old = new
            assert not await enters(broker, showing(broker, other.issue_cert("client.test")))


async def enters(broker: SecuredBroker, context: ssl.SSLContext) -> bool:
    """Say whether a client is let in."""
    try:
        async with await connected(broker, context) as raw:
            return await served(raw)
    except (ssl.SSLError, ConnectionError):
        return False


def shown(raw: Raw) -> Any:
    """Return the certificate that the broker shows."""
    return raw.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)


async def differs(broker: SecuredBroker, before: bytes) -> bool:
    """Say whether the broker shows another certificate than before."""
    async with await connected(broker, trusting(broker)) as raw:
        return bool(shown(raw) != before)


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """A broker where a login lasts two seconds."""
    with SecuredBroker(
        tmp_path_factory.mktemp("brief"),
        sasl_mechanisms=("PLAIN", "SCRAM-SHA-512"),
        reauthenticate_seconds=2,
    ) as broker:
        yield broker


class TestAgain:
    """Logging in again on an open connection (KIP-368)."""

    async def test_in_time(self, brief: SecuredBroker) -> None:
        """Who logs in again in time goes on; who does not is cut off at its next request."""
        user = brief.settings.login()
        async with await connected(brief, trusting(brief)) as raw:
            told = await log_in(raw, *user)
            assert told.session_lifetime == dt.timedelta(seconds=2)
            # At most once a second.
            assert (await shake_hands(raw, "SCRAM-SHA-512")).error_code == 34
            await until(lambda: accepted(raw))
            assert (await proved(raw, *user)).error_code == 0
            assert await served(raw)
            await until(lambda: gone(raw))

    async def test_another_user(self, brief: SecuredBroker) -> None:
        """It has to be the same user, and the same mechanism."""
        other = await brief.add_user("other")
        for mechanism, login in (("SCRAM-SHA-512", other), ("PLAIN", brief.settings)):
            async with await connected(brief, trusting(brief)) as raw:
                await log_in(raw, *brief.settings.login())
                await until(partial(accepted, raw, mechanism))
                told = await proved(raw, *login.login(), mechanism=mechanism)
                assert told.error_code == 58
                assert "re-authentication" in told.error_message
                assert await raw.answer() == b""

    async def test_a_client(self, brief: SecuredBroker) -> None:
        """A client of librdkafka's does so by itself, and loses nothing."""
        async with await connected(brief, trusting(brief)) as raw:
            await log_in(raw, *brief.settings.login())
            await raw.made("again")
        user, password = brief.settings.login()
        failed: list[object] = []
        producer = Producer(
            {
                "bootstrap.servers": brief.bootstrap,
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": user,
                "sasl.password": password,
                "ssl.ca.location": str(brief.ca_file),
                "error_cb": failed.append,
            }
        )
        written = logins(brief)

        def once_more() -> bool:
            producer.produce("again", b"x", on_delivery=lambda error, _: failed.append(error))
            producer.flush(10)
            return logins(brief) >= written + 4

        await until(lambda: asyncio.to_thread(once_more))
        assert set(failed) == {None}


def logins(broker: SecuredBroker) -> float:
    """Return how often somebody has logged in."""
    return float(broker.telemetry.logins.labels("SCRAM-SHA-512", "ok")._value.get())


async def accepted(raw: Raw, mechanism: str = "SCRAM-SHA-512") -> bool:
    """Say whether one may begin to log in."""
    return bool((await shake_hands(raw, mechanism)).error_code == 0)


async def proved(raw: Raw, user: str, password: str, mechanism: str = "SCRAM-SHA-512") -> Any:
    """Go on with the login; return the last answer."""
    if mechanism == "PLAIN":
        return await authenticate(raw, f"\0{user}\0{password}".encode())
    return await prove(raw, user, password)


async def gone(raw: Raw) -> bool:
    """Say whether one is served no more."""
    return not await served(raw)


def given(folder: Path, **settings: Any) -> Broker:
    """Return a broker with these settings that was not started."""
    return Broker(
        BrokerSettings(listen=Address(host=HOST, port=0), **settings), folder, Telemetry()
    )


class TestSettings:
    """What is refused before anybody connects."""

    async def test_files_that_cannot_be_used(self, tmp_path: Path) -> None:
        """A certificate, key or authority that cannot be used is named."""
        whole_file, other = tmp_path / "whole.pem", tmp_path / "other.pem"
        trustme.CA().issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(whole_file)
        other.write_text("nothing", encoding="utf-8")
        for settings, named in (
            ({"certificate_file": tmp_path / "none"}, "certificate_file"),
            ({"certificate_file": other}, "certificate_file"),
            ({"certificate_file": whole_file, "key_file": other}, "certificate_file"),
            (
                {"certificate_file": whole_file, "client_certificate": "required"},
                "client_ca_file",
            ),
            (
                {
                    "certificate_file": whole_file,
                    "client_certificate": "optional",
                    "client_ca_file": other,
                },
                "client_ca_file",
            ),
        ):
            with pytest.raises(InvalidSettings) as refused:
                await given(tmp_path / "broker", **settings).start()
            assert f"broker.{named}" in str(refused.value.where)

    @pytest.mark.parametrize(
        ("settings", "lacking"),
        [
            pytest.param({}, "no TLS and no login", id="nothing"),
            pytest.param(
                {"certificate_file": True, "sasl_mechanisms": ()}, "has no login", id="TLS alone"
            ),
        ],
    )
    async def test_strangers(self, tmp_path: Path, settings: Any, lacking: str) -> None:
        """No other machine can reach a broker without TLS and login, unless told so by name."""
        everywhere = Address(host="0.0.0.0", port=0)  # noqa: S104  # what is refused
        if "certificate_file" in settings:
            file = tmp_path / "broker.pem"
            settings = settings | {"certificate_file": file}
            trustme.CA().issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(file)
        open_to_all = BrokerSettings(listen=everywhere, **settings)
        with pytest.raises(InvalidSettings, match=lacking):
            await Broker(open_to_all, tmp_path, Telemetry()).start()
        insecure = BrokerSettings(listen=everywhere, insecure=True)
        async with (
            Broker(insecure, tmp_path, Telemetry()) as broker,
            await Raw.to(Address(host=HOST, port=broker.address.port)) as raw,
        ):
            assert (await raw.ask(18, 3, **VERSIONS)).error_code == 0
