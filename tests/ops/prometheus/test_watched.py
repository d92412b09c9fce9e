"""A real Prometheus reads a real node under load: rules, dashboards and runbooks are held to it."""

import re
import shlex
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from bus.cli.app import app
from ops.grafana.__main__ import file, text
from ops.grafana.panels import Query, Variable
from ops.grafana.source import DASHBOARDS, RATE
from tests.ops.prometheus.conftest import DONE, MEMBER, ROOT, SHIPPED, Watched, wait
from tests.ops.prometheus.programs import program
from tests.ops.prometheus.test_rules import NAMES
from tests.town.conftest import NOBODY, READINGS, Town

pytestmark = pytest.mark.slow

RUNBOOKS = sorted((ROOT / "docs/runbooks").glob("*.md"))
LETTERS = f"dead.de.agency.statistik.{READINGS}"
CHOSEN = {
    **{f"${name}": ".*" for name in ("job", "topic", "group")},
    RATE: "15s",
}

QUERIES = [
    pytest.param(query, id=f"{dashboard.uid}-{panel.title}-{number}")
    for dashboard in DASHBOARDS
    for panel in dashboard.panels
    for number, query in enumerate(panel.queries)
]
VARIABLES = sorted({v for dashboard in DASHBOARDS for v in dashboard.variables}, key=str)


def commands() -> list[str]:
    """Return every command of ours that a runbook tells."""
    lines = (line for page in RUNBOOKS for line in page.read_text(encoding="utf-8").splitlines())
    return sorted({line for line in lines if line.startswith("stadtbus ")})


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_of_a_dashboard_returns_data(watched: Watched, query: Query) -> None:
    expression = query.expr
    for name, value in CHOSEN.items():
        expression = expression.replace(name, value)
    for part in expression.split(" or "):  # what is asked where the first part has nothing, too
        wait(lambda part=part: watched.ask(part))


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_every_variable_has_values(watched: Watched, variable: Variable) -> None:
    url = f"{watched.url}/api/v1/label/{variable.name}/values"
    wait(lambda: httpx.get(url, params={"match[]": variable.metric}).json()["data"])


def test_the_bus_s_own_topics_and_groups_stay_out(watched: Watched) -> None:
    wait(lambda: watched.ask('stadtbus_produced_records_total{topic=~"_.*"}'))
    wait(lambda: watched.ask("stadtbus:appended_records:rate_1m"))
    for record in ("stadtbus:appended_records:rate_1m", "stadtbus:consumer_group_lag_seconds:max"):
        assert not watched.ask(f'{record}{{topic=~"_.*"}} or {record}{{group=~"_.*"}}')


def test_prometheus_evaluates_every_rule(watched: Watched) -> None:
    wait(lambda: all(rule["health"] != "unknown" for rule in watched.rules()))
    assert [rule for rule in watched.rules() if rule["health"] != "ok"] == []
    assert {rule["name"] for rule in watched.rules() if rule["type"] == "alerting"} == set(NAMES)


def test_promtool_finds_nothing_in_what_a_node_shows(loaded: Town) -> None:
    token = loaded.folder.token.read_text().strip()
    answer = httpx.get(
        f"{loaded.node.ready['ops']}/metrics",
        headers={"authorization": f"Bearer {token}"},
        verify=ssl.create_default_context(cafile=loaded.folder.ca),
    )
    assert answer.status_code == 200
    command = [program("promtool"), "check", "metrics"]
    done = subprocess.run(command, input=answer.content, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("name", ["prometheus.yaml", "prometheus-open.yaml"])
def test_promtool_takes_the_shipped_configurations(name: str) -> None:
    command = [program("promtool"), "check", "config", "--syntax-only", str(SHIPPED / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("user", "codes", "words"),
    [
        pytest.param(NOBODY, {3}, "UNKNOWN: there is no subscription, or none that", id="nothing"),
        pytest.param("admin", {0, 1, 2}, " subscriptions", id="everything"),
    ],
)
def test_a_check_of_lag_knows_what_its_user_may_see(
    loaded: Town, user: str, codes: set[int], words: str
) -> None:
    done = loaded.stadtbus(user, "check", "lag")
    assert done.returncode in codes, done.stdout
    assert words in done.stdout


PAGE = (ROOT / "docs/monitoring.md").read_text(encoding="utf-8")
LAID_OUT = [
    block for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) if "promtool" in block
]


@pytest.mark.parametrize("block", LAID_OUT, ids=["secured", "open"])
def test_prometheus_is_laid_out_as_the_page_says(loaded: Town, tmp_path: Path, block: str) -> None:
    """In folders of a test's, and without the group that Debian's package makes."""
    (tmp_path / "prometheus").mkdir()
    for place, here in {
        "/etc/prometheus": str(tmp_path / "prometheus"),
        "/var/lib/stadtbus": str(loaded.folder.ca.parents[1]),
        " -g prometheus": "",
        "promtool": program("promtool"),
    }.items():
        block = block.replace(place, here)
    command = ["sh", "-e", "-u", "-c", block]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", commands())
def test_every_command_of_a_runbook_does_what_it_says(
    watched: Watched, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run in the administrator's folder; a check may find something, and says so by its code."""
    topic = LETTERS if " dead show " in command else READINGS
    wait(lambda: watched.ask(f'stadtbus_consumer_group_members{{group="{DONE}"}} == 0'))
    wait(lambda: watched.ask("stadtbus_dead_letter_records > 0"))
    monkeypatch.chdir(watched.town.of("admin"))
    monkeypatch.setenv("STADTBUS_DATA", str(watched.town.folder.ca.parents[1]))
    for name, value in {
        "GROUP": DONE, "TOPIC": topic, "SUBJECT": f"{READINGS}-value", "FILE": "good.avsc",
        "MEMBER": MEMBER,
    }.items():  # fmt: skip
        command = command.replace(name, value)
    done = CliRunner().invoke(app, shlex.split(command)[1:])
    finds = {"check": (0, 1, 2)}.get(command.split()[1], (0,))
    assert done.exit_code in finds, (command, done.output)
    assert done.output.strip()


def test_dashboards_are_those_that_the_source_makes() -> None:
    for dashboard in DASHBOARDS:
        written = file(dashboard).read_text(encoding="utf-8")
        assert written == text(dashboard), "make them anew: python -m ops.grafana"
    shipped = {path.name for path in (ROOT / "ops/grafana/dashboards").glob("*.json")}
    assert shipped == {file(dashboard).name for dashboard in DASHBOARDS}


def test_every_alert_has_its_page_and_every_page_its_alert_in_both_languages() -> None:
    assert [page.stem for page in RUNBOOKS] == NAMES
    for page in RUNBOOKS:
        written = page.read_text(encoding="utf-8")
        assert len(written.splitlines()) <= 60
        for part in ("## How to tell", "## What to do", "## Deutsch", "### Was zu tun ist"):
            assert f"\n{part}\n" in written, page.name
