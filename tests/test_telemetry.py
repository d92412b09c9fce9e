"""What is exposed is what the page of metrics lists."""

from collections.abc import Collection
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from bus.node import telemetry_of
from bus.settings import Role, load
from bus.telemetry import Publishing, Series, Telemetry

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"
PARTS = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("",), "gauge": ("",)}


def listed() -> set[str]:
    """Return the names of all series that the page lists."""
    return {
        line.split("`")[1] + part
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `stadtbus_")
        for part in PARTS[line.split("|")[2].strip()]
    }


def exposed(telemetry: Telemetry, names: Collection[str] = ()) -> set[str]:
    """Return the names of all series that are exposed, or of those that were asked for."""
    return {
        sample.name
        for family in text_string_to_metric_families(telemetry.exposition(names).decode())
        for sample in family.samples
    }


def test_every_series_is_listed() -> None:
    telemetry = Telemetry()
    telemetry.requests.labels("produce", "ok").inc()
    telemetry.request_duration.labels("produce").observe(0.1)
    assert "stadtbus_requests_total" in exposed(telemetry)
    assert exposed(telemetry) <= listed()


@pytest.mark.parametrize(
    ("roles", "canary", "there"),
    [
        pytest.param(["broker", "registry", "portal"], True, "storage canary survey", id="all"),
        pytest.param(["broker"], True, "storage", id="a broker alone has nobody who looks"),
        pytest.param(["registry"], True, "canary survey", id="on an engine elsewhere"),
        pytest.param(["registry"], False, "survey", id="without a canary"),
        pytest.param(["portal"], True, "survey", id="a portal alone"),
    ],
)
def test_a_node_shows_metrics_of_what_it_does(roles: list[Role], canary: bool, there: str) -> None:
    settings = load({"watch.canary": canary}, environ={})
    seen = exposed(telemetry_of(settings, roles))
    telling = {
        "storage": "stadtbus_storage_free_bytes",
        "canary": "stadtbus_canary_sent_total",
        "survey": "stadtbus_survey_timestamp_seconds",
    }
    assert {word for word, name in telling.items() if name in seen} == set(there.split())


def test_some_series_alone_are_exposed_by_their_names() -> None:
    telemetry = Telemetry()
    telemetry.requests.labels("produce", "ok").inc()
    telemetry.topic_records.replace([(("people.moved.v1",), 3.0)])
    names = ["stadtbus_requests_total", telemetry.topic_records.name, "stadtbus_no_such_thing"]
    assert exposed(telemetry, names) == set(names[:2])


def test_every_series_of_a_survey_is_exposed_and_listed() -> None:
    telemetry = Telemetry()
    series = [one for one in vars(telemetry).values() if isinstance(one, Series)]
    assert len(series) > 10
    for one in series:
        one.replace([(("x",) * len(one.label_names), 1.0)])
    names = {f"{one.name}_total" if one.kind == "counter" else one.name for one in series}
    assert names <= exposed(telemetry) <= listed()


@pytest.mark.parametrize("left", [[3], [3, 4], []])
def test_the_backlog_of_all_publishers_of_a_process(left: list[int]) -> None:
    class Waiting:
        def __init__(self, unsent: int) -> None:
            self.unsent = unsent

    registry = CollectorRegistry()
    publishing, publishers = Publishing(registry), [Waiting(unsent) for unsent in left]
    for one in publishers:
        publishing.add(one)
    assert registry.get_sample_value("stadtbus_publisher_unsent_events") == sum(left)
    for one in publishers:
        publishing.remove(one)
    assert registry.get_sample_value("stadtbus_publisher_unsent_events") == 0
