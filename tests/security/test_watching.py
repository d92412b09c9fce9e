"""A certificate's end is told in good time: as a metric, and in the log."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bus.security import CertificateWatch, certificates, watched
from bus.settings import load
from bus.telemetry import Telemetry

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A certificate that counts for a year."""
    made = tmp_path / "node.pem"
    signer = certificates.authority("test", NOW)
    made.write_bytes(certificates.issue(signer, ["localhost"], NOW).certificate)
    return made


def test_the_metric_is_the_certificates_end(file: Path, telemetry: Telemetry) -> None:
    CertificateWatch({"broker": file}, telemetry, now=Clock()).look()
    end = (NOW + timedelta(days=365)).timestamp()
    line = 'stadtbus_certificate_expiry_timestamp_seconds{certificate="broker"} '
    (found,) = [
        float(one.removeprefix(line))
        for one in telemetry.exposition().decode().splitlines()
        if one.startswith(line)
    ]
    assert found == end


def test_the_log_says_so_daily_in_the_last_month(
    file: Path, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    watch = CertificateWatch({"broker": file}, telemetry, now=clock)
    for days, lines in ((0, 0), (334, 0), (335, 1), (335.5, 1), (336, 2), (366, 3)):
        clock.now = NOW + timedelta(days=days)
        with caplog.at_level(logging.WARNING):
            watch.look()
        assert len(caplog.records) == lines, days
    assert "expires in 30 days; renew it" in caplog.text
    assert "expires in 0 days" in caplog.text


def test_a_certificate_that_cannot_be_read_stops_nothing(
    file: Path, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    bad = file.with_name("bad.pem")
    bad.write_text("no certificate")
    CertificateWatch({"ops": bad, "broker": file}, telemetry, now=Clock()).look()
    assert f"{bad}: cannot be read: it holds no certificate in pem's form" in caplog.text
    assert 'certificate="broker"' in telemetry.exposition().decode()


def test_what_a_node_watches(file: Path) -> None:
    settings = load({"broker.certificate_file": file}, environ={}, directory=file.parent)
    assert watched(settings, ("broker", "ops"), file.with_name("absent")) == {"broker": file}
    assert watched(settings, ("broker", "ops"), file) == {"broker": file, "ca": file}
    assert watched(settings, ("ops",), file) == {}
