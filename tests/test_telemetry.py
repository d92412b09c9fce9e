"""What is exposed is what the page of metrics lists."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from bus.telemetry import Telemetry

PAGE = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text(encoding="utf-8")
PARTS = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("",), "gauge": ("",)}


def test_every_series_is_listed() -> None:
    telemetry = Telemetry()
    telemetry.requests.labels("produce", "ok").inc()
    telemetry.request_duration.labels("produce").observe(0.1)
    listed = {
        line.split("`")[1] + part
        for line in PAGE.splitlines()
        if line.startswith("| `stadtbus_")
        for part in PARTS[line.split("|")[2].strip()]
    }
    exposed = {
        sample.name
        for family in text_string_to_metric_families(telemetry.exposition().decode())
        for sample in family.samples
    }
    assert "stadtbus_requests_total" in exposed
    assert exposed <= listed
