"""Certificates as a login at the broker, and how they are renewed."""

import ssl
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.broker.raw import Raw
from tests.broker.security.asking import connected, failures, served, showing, trusting
from tests.engines.login import log_in, shake_hands
from tests.secured import SecuredBroker
from tests.waiting import until


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
