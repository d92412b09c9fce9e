"""Every scenario runs, end to end: real engines, real contenders, small counts."""

import json

import pytest

from ops.bench.__main__ import main
from ops.bench.scenarios import SCENARIOS

ON_A_BUS = [name for name, one in SCENARIOS.items() if one.stage == "bus"]
ENGINES = {name: {one.engine for one in of.contenders} for name, of in SCENARIOS.items()}
OF_BOTH = [name for name, engines in ENGINES.items() if engines == {"embedded", "kafka"}]
ALONE = [name for name, engines in ENGINES.items() if engines == {"embedded"}]


def check(said: str, name: str) -> None:
    """The scenario is measured, with a reading above nothing from each of its contenders."""
    found = json.loads(said)
    scenario = SCENARIOS[name]
    (outcome,) = found["outcomes"]
    assert found["quick"] is True
    assert (outcome["scenario"], outcome["state"], outcome["reason"]) == (name, "measured", "")
    assert len(outcome["rows"]) == len(scenario.cases) * len(scenario.measures)
    for row in outcome["rows"]:
        assert len(row["series"]) == len(scenario.contenders)
        assert all(one["median"] > 0 for one in row["series"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_A_BUS + ALONE)
def test_a_quick_run_on_the_embedded_engine(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--quick", "-o", "json"]) == 0
    check(capsys.readouterr().out, name)


@pytest.mark.slow
@pytest.mark.kafka
def test_a_quick_run_on_kafka(kafka: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["consume", "--quick", "--engine", "kafka", "-o", "json"]) == 0
    check(capsys.readouterr().out, "consume")


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.parametrize("name", OF_BOTH)
def test_a_quick_run_of_both_engines(
    name: str, kafka: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--quick", "-o", "json"]) == 0
    check(capsys.readouterr().out, name)
