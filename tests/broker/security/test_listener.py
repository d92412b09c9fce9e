"""Connections to a secured broker that go wrong: what is told, what is logged."""

import asyncio
import datetime as dt
import ssl
import struct
import warnings
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
import trustme

from bus.broker import Broker
from bus.broker.security.session import MOST_LOGIN_BYTES
from tests.broker.raw import Raw
from tests.broker.security.asking import (
    VERSIONS,
    connect,
    connected,
    failures,
    served,
    showing,
    trusting,
)
from tests.engines.login import authenticate, encrypted, log_in, shake_hands
from tests.secured import SecuredBroker
from tests.waiting import until

YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)


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

    async def test_a_mechanism_that_is_not_offered(
        self, secured: SecuredBroker, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is told and counted like every refused login; its name is quoted, and no label."""
        logins = secured.telemetry.logins.labels("other", "refused")._value
        before = logins.get()
        async with await connected(secured, trusting(secured)) as raw:
            assert (await shake_hands(raw, "PLEASE\nme")).error_code == 33
            assert await raw.answer() == b""
        assert 'login refused host="127.0.0.1" mechanism="PLEASE\\nme" is not' in caplog.text
        assert logins.get() == before + 1
        assert "PLEASE" not in secured.telemetry.exposition().decode()

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
