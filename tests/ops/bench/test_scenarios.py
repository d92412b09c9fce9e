"""Every scenario is whole: its contenders exist, its names can be used, it has peers."""

import re

import pytest

from ops.bench.__main__ import chosen, exit_code, main
from ops.bench.figures import Outcome, State
from ops.bench.model import Scenario, resolve
from ops.bench.running import Plan
from ops.bench.scenarios import SCENARIOS

each = pytest.mark.parametrize(
    "scenario", [pytest.param(one, id=name) for name, one in SCENARIOS.items()]
)


def alone(scenario: Scenario) -> bool:
    """Say whether a scenario is about the embedded broker by itself."""
    return {one.engine for one in scenario.contenders} == {"embedded"}


@each
def test_what_it_runs_is_there(scenario: Scenario) -> None:
    places = [one.run for one in scenario.contenders] + [scenario.prepare or scenario.name]
    assert [place for place in places if ":" in place and not callable(resolve(place))] == []


@each
def test_it_has_a_peer_and_measures(scenario: Scenario) -> None:
    least = 1 if alone(scenario) else 2
    assert len({one.name for one in scenario.contenders}) == len(scenario.contenders) >= least
    assert len({one.name for one in scenario.measures}) == len(scenario.measures) >= 1
    assert scenario.quick < scenario.count


@each
def test_its_names_can_be_parts_of_topics(scenario: Scenario) -> None:
    names = [scenario.name, *(one.name for one in scenario.contenders)]
    assert [name for name in names if not re.fullmatch("[a-z][a-z0-9-]*", name)] == []


@each
def test_it_runs_on_one_engine_or_compares_both(scenario: Scenario) -> None:
    engines = {one.engine for one in scenario.contenders}
    both = {"embedded"} if alone(scenario) else {"embedded", "kafka"}
    assert engines == ({None} if scenario.stage == "bus" else both)


def test_a_run_on_the_embedded_engine_has_all_scenarios() -> None:
    assert chosen([], Plan(engine="embedded")) == list(SCENARIOS.values())


def test_a_run_on_kafka_leaves_out_what_does_not_depend_on_it() -> None:
    names = {one.name for one in chosen([], Plan(engine="kafka"))}
    assert SCENARIOS.keys() - names == {
        *("engines", "connections", "start"),
        *("partitions", "turns", "memory", "opening", "maintenance", "portal", "granting"),
    }


def test_scenarios_are_chosen_by_name() -> None:
    assert [one.name for one in chosen(["start", "consume"], Plan(engine="kafka"))] == [
        "consume",
        "start",
    ]


@pytest.mark.parametrize(
    ("states", "named", "code"),
    [
        pytest.param(["measured"], False, 0, id="all is measured"),
        pytest.param(["measured", "not verified"], False, 1, id="one is not verified"),
        pytest.param(["measured", "not run"], False, 0, id="one of all could not run"),
        pytest.param(["not run"], True, 2, id="one asked for by name could not run"),
        pytest.param(["not run", "not verified"], True, 1, id="not verified counts most"),
    ],
)
def test_the_exit_code_tells(states: list[State], named: bool, code: int) -> None:
    outcomes = [Outcome(scenario="x", engine="kafka", date="", state=one) for one in states]
    assert exit_code(outcomes, named=named) == code


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--quick"], id="of a quick run"),
        pytest.param(["--count", "10"], id="of other counts"),
        pytest.param(["--rounds", "3"], id="of too few rounds"),
    ],
)
def test_no_page_is_written(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--write", *arguments]) == 2
    assert "whole runs only" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["consum"], 'did you mean "consume"?', id="an unknown scenario"),
        pytest.param(["--rounds", "0"], "below 1", id="no rounds"),
        pytest.param(["--engine", "rabbit"], "invalid choice", id="an unknown engine"),
    ],
)
def test_the_command_line_is_refused(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert says in capsys.readouterr().err
