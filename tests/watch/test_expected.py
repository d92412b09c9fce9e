"""How often events are expected, from the contracts in force to /metrics."""

import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bus.admin import Admin
from bus.journal import Entry
from bus.node import Node
from bus.registry.state import CONTRACT, State
from bus.settings import load
from bus.watch.expected import Expected, expected_intervals
from tests.waiting import until

FREE = {f"{role}.listen": "127.0.0.1:0" for role in ("broker", "registry", "ops")}


@pytest.mark.parametrize(
    ("contract", "expected"),
    [
        pytest.param({"expected_interval": "PT15M"}, {"t.u.v1": Expected(900.0, 1.5)}, id="said"),
        pytest.param({}, {}, id="not said"),
        pytest.param({"expected_interval": None}, {}, id="said to be unknown"),
        pytest.param({"expected_interval": "P1Y"}, {}, id="in a way that we cannot read"),
        pytest.param({"expected_interval": 7}, {}, id="no text"),
    ],
)
def test_what_contracts_say(contract: dict[str, Any], expected: dict[str, Expected]) -> None:
    state = State()
    put(state, 1500, contract)
    assert state.topics == ["t.u.v1"]
    assert expected_intervals(state) == expected


def test_an_interval_counts_from_when_it_was_first_said() -> None:
    state = State()
    put(state, 1000, {})
    put(state, 2000, {"expected_interval": "PT15M"})
    put(state, 3000, {"expected_interval": "PT15M", "owner": "somebody else"})
    assert expected_intervals(state) == {"t.u.v1": Expected(900.0, 2.0)}
    put(state, 4000, {"expected_interval": "PT1H"})
    assert expected_intervals(state) == {"t.u.v1": Expected(3600.0, 4.0)}


def put(state: State, at: int, contract: dict[str, Any]) -> None:
    """Put a contract in force, at a time in milliseconds."""
    body = {
        "topic": "t.u.v1",
        "contract": {"versions": [], **contract},
        "schemas": [],
        "level": "FULL_TRANSITIVE",
    }
    state.apply(Entry(number=1, digest="", kind=CONTRACT, body=body, at=at))


@pytest.mark.slow
@pytest.mark.parametrize("canary", [True, False])
async def test_a_node_shows_what_it_sees(tmp_path: Path, canary: bool) -> None:
    began = time.time()
    settings = load({"data": tmp_path, "watch.canary": canary, **FREE})
    async with Node(settings, ["broker", "registry"]) as node, httpx.AsyncClient() as client:

        async def shown() -> dict[tuple[str, ...], float]:
            text = (await client.get(f"{node.ready.ops}/metrics")).text
            return {
                (sample.name.removeprefix("stadtbus_"), *sample.labels.values()): sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
            }

        async def surveyed() -> bool:
            seen = await shown()
            flown = seen.get(("canary_roundtrip_seconds_count",), 0) > 0
            return seen["survey_timestamp_seconds",] > 0 and flown == canary

        await until(surveyed)
        since = ("topic_expected_since_timestamp_seconds", "sensor.reading.v1")
        assert since not in await shown(), "nobody waits for it"
        async with Admin(node.settings.kafka) as admin:
            await admin.set_positions(
                "de.agency.statistik.test", {("sensor.reading.v1", 0): (0, "")}
            )

        async def awaited() -> bool:
            return since in await shown()

        await until(awaited)
        seen = await shown()
        assert seen["topic_expected_interval_seconds", "sensor.reading.v1"] == 900
        assert began - 1 <= seen[since] <= time.time()
        assert ("topic_last_record_timestamp_seconds", "sensor.reading.v1") not in seen
        assert seen["topic_retention_seconds", "sensor.reading.v1"] == 30 * 86_400
        assert seen["topic_records", "sensor.reading.v1"] == 0
        assert (("canary_sent_total",) in seen) == canary
