"""The rules are what promtool takes, fire when they shall and are silent when they shall not."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bus.telemetry import Telemetry
from tests.ops.prometheus.programs import program

ROOT = Path(__file__).parents[3]
RULES = sorted((ROOT / "ops/prometheus/rules").glob("*.yaml"))
CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
TEXTS = ("summary", "description", "summary_de", "description_de")


def rules() -> Iterator[dict[str, Any]]:
    """Return every rule of every file."""
    for file in RULES:
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


ALERTS = [rule for rule in rules() if "alert" in rule]
NAMES = sorted({rule["alert"] for rule in ALERTS})


def ids(rule: dict[str, Any]) -> str:
    return f"{rule['alert']}-{rule['labels']['severity']}"


def promtool(*arguments: object) -> None:
    """Run promtool, which has to find nothing."""
    command = [program("promtool"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_rules() -> None:
    promtool("check", "rules", *RULES)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_rules_fire_when_they_shall_and_not_when_they_shall_not(case: Path) -> None:
    promtool("test", "rules", case)


def test_every_alert_is_tried_both_ways() -> None:
    fires: set[tuple[str, str]] = set()
    silent: set[str] = set()
    for case in CASES:
        for one in yaml.safe_load(case.read_text(encoding="utf-8"))["tests"]:
            for asked in one.get("promql_expr_test", ()):
                fires.update(fired(sample["labels"]) for sample in asked.get("exp_samples", ()))
            for asked in one.get("alert_rule_test", ()):
                alert, expected = asked["alertname"], asked.get("exp_alerts", ())
                fires.update((alert, one["exp_labels"]["severity"]) for one in expected)
                if not expected:
                    silent.add(alert)
    assert fires == {(rule["alert"], rule["labels"]["severity"]) for rule in ALERTS}
    assert silent == set(NAMES)


def fired(series: str) -> tuple[str, str]:
    """Return the alert and severity of a series of ALERTS."""
    found = re.search(r'alertname="(\w+)".*severity="(\w+)"', series)
    assert found is not None, series
    return found[1], found[2]


@pytest.mark.parametrize("rule", ALERTS, ids=ids)
def test_an_alert_speaks_both_languages_and_says_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"warning", "critical"}
    annotations = rule["annotations"]
    assert set(annotations) == {*TEXTS, "runbook_url"}
    assert all(annotations[name].strip() for name in TEXTS)
    assert annotations["summary"] != annotations["summary_de"]
    assert annotations["runbook_url"].endswith(f"/docs/runbooks/{rule['alert']}.md")


@pytest.mark.parametrize(
    "rule", list(rules()), ids=lambda rule: rule.get("alert", rule.get("record"))
)
def test_a_rule_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    telemetry = Telemetry()
    shown = {name for metric in telemetry.registry.collect() for name in names(metric)}
    recorded = {other["record"] for other in rules() if "record" in other}
    asked = set(re.findall(r"\bstadtbus[_:][a-z0-9_:]+", rule["expr"]))
    assert asked <= shown | recorded
    assert asked or "up{" in rule["expr"]


def names(metric: Any) -> set[str]:
    """Return the names under which a metric's series appear."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    return {metric.name + suffix for suffix in suffixes.get(metric.type, ("",))}
