"""What of a broker's settings is refused before anybody connects."""

from pathlib import Path
from typing import Any

import pytest
import trustme

from bus.broker import Broker
from bus.errors import InvalidSettings
from bus.settings import Address, BrokerSettings
from bus.telemetry import Telemetry
from tests.broker.raw import Raw
from tests.broker.security.asking import VERSIONS
from tests.secured import HOST, SecuredBroker


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


async def test_a_store_with_users_is_not_opened_to_everybody(tmp_path: Path) -> None:
    """Whoever loses the settings of a secured broker does not open it by that."""
    with SecuredBroker(tmp_path):
        pass
    folder = tmp_path / "broker"
    with pytest.raises(InvalidSettings, match="1 users and 0 rules") as refused:
        await given(folder).start()
    assert "security" in str(refused.value.remedy)
    async with given(folder, insecure=True):
        pass
