"""Every scenario runs, end to end: real engines, real contenders, small counts."""

import json

import pytest

from ops.bench.__main__ import main
from ops.bench.scenarios import SCENARIOS

ON_A_BUS = [name for name, one in SCENARIOS.items() if one.stage == "bus"]
OF_ENGINES = [name for name, one in SCENARIOS.items() if one.stage != "bus"]


def check(said: str, names: list[str]) -> None:
    """Each scenario is measured, with a reading above nothing from each of its contenders."""
    found = json.loads(said)
    assert found["quick"] is True
    assert [(one["scenario"], one["state"], one["reason"]) for one in found["outcomes"]] == [
        (name, "measured", "") for name in names
    ]
    for outcome in found["outcomes"]:
        scenario = SCENARIOS[outcome["scenario"]]
        assert len(outcome["rows"]) == len(scenario.cases) * len(scenario.measures)
        for row in outcome["rows"]:
            assert len(row["series"]) == len(scenario.contenders)
            assert all(one["median"] > 0 for one in row["series"])


@pytest.mark.slow
def test_a_quick_run_on_the_embedded_engine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ON_A_BUS, "--quick", "-o", "json"]) == 0
    check(capsys.readouterr().out, ON_A_BUS)


@pytest.mark.slow
@pytest.mark.kafka
def test_a_quick_run_on_kafka(kafka: object, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["publish-bulk", "consume"]
    assert main([*names, "--quick", "--engine", "kafka", "-o", "json"]) == 0
    check(capsys.readouterr().out, names)


@pytest.mark.slow
@pytest.mark.kafka
def test_a_quick_run_of_both_engines(kafka: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*OF_ENGINES, "--quick", "-o", "json"]) == 0
    check(capsys.readouterr().out, OF_ENGINES)
