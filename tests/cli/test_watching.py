"""`stadtbus check` and `stadtbus group seek` as their users run them."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from bus.cli.app import app
from ops.node import NodeProcess
from tests.cli.conftest import Done, Stadtbus, lines

TOPIC, GROUP = "sensor.reading.v1", "de.agency.statistik.watched"
CANARY = "STADTBUS CANARY "


@pytest.mark.parametrize(
    ("arguments", "code", "begins"),
    [
        pytest.param(("broker",), 0, "STADTBUS BROKER OK: 1 broker", id="broker"),
        pytest.param(("lag",), 0, "STADTBUS LAG OK: ", id="lag"),
        pytest.param(("canary",), 0, f"{CANARY}OK: an event came back", id="canary"),
        pytest.param(("canary", "-w", "0s"), 1, f"{CANARY}WARNING: ", id="a slow canary"),
        pytest.param(
            ("canary", "-w", "0s", "-c", "0s"), 2, f"{CANARY}CRITICAL: ", id="a very slow one"
        ),
        pytest.param(("disk", "--data", "."), 0, "STADTBUS DISK OK: ", id="disk"),
        pytest.param(
            ("disk", "--data", ".", "-w", "100", "-c", "0"),
            1,
            "STADTBUS DISK WARNING: ",
            id="a disk that is filling",
        ),
        pytest.param(
            ("disk", "--data", "nowhere"), 3, "STADTBUS DISK UNKNOWN: BUS-0100", id="no such folder"
        ),
        pytest.param(
            ("broker", "--kafka", "127.0.0.1:1"),
            2,
            "STADTBUS BROKER CRITICAL: BUS-0400",
            id="no broker answers",
        ),
        pytest.param(
            ("lag", "--kafka", "127.0.0.1:1"),
            3,
            "STADTBUS LAG UNKNOWN: BUS-0400",
            id="lag that is not known",
        ),
        pytest.param(
            ("lag", "--group", "nobody"), 3, "STADTBUS LAG UNKNOWN: BUS-0600", id="no such group"
        ),
        pytest.param(("lag", "-w", "soon"), 3, "STADTBUS LAG UNKNOWN: BUS-0100", id="no duration"),
        pytest.param(("lag", "-w", "-5s"), 3, "STADTBUS LAG UNKNOWN: BUS-0100", id="negative"),
        pytest.param(
            ("lag", "-w", f"{9**30}w"), 3, "STADTBUS LAG UNKNOWN: BUS-0100", id="no such time"
        ),
        pytest.param(
            ("canary", "-w", "5s", "-c", "1s"),
            3,
            f"{CANARY}UNKNOWN: BUS-0100 --warn: 5 is above --critical 1: nobody would be warned",
            id="limits swapped",
        ),
        *(
            pytest.param(
                ("disk", "--data", ".", *limits),
                3,
                f"STADTBUS DISK UNKNOWN: BUS-0100 {says}",
                id=f"disk {' '.join(limits)}",
            )
            for limits, says in (
                (("-w", "nan"), "--warn: nan is no limit"),
                (("-w", "inf"), "--warn: inf is no limit"),
                (("-w", "120"), "--warn: 120 is no limit"),
                (("-c", "-1"), "--critical: -1 is no limit"),
                (("-w", "5", "-c", "15"), "--warn: 5 is below --critical 15"),
            )
        ),
    ],
)
def test_a_check_has_nagios_exit_codes(
    node: NodeProcess, arguments: tuple[str, ...], code: int, begins: str
) -> None:
    done = checked(node, *arguments)
    assert (done.exit_code, done.stdout.startswith(begins)) == (code, True), done.output
    as_json = checked(node, *arguments, "-f", "json")
    document = json.loads(as_json.stdout)
    assert (as_json.exit_code, document["code"], document["v"]) == (code, code, 1)
    assert document["check"] == arguments[0]


def checked(node: NodeProcess, *arguments: str) -> Any:
    """Run a check in this process."""
    return CliRunner().invoke(app, ["check", *arguments], env=node.environment)


@pytest.mark.parametrize(
    "arguments", [("lag", "--nothing"), ("lagg",), ("disk", "-w", "x"), (), ("--nothing",)]
)
def test_a_wrong_option_is_unknown_and_not_critical(
    node: NodeProcess, arguments: tuple[str, ...]
) -> None:
    done = checked(node, *arguments)
    assert done.exit_code == 3
    assert "Usage: " in done.output


def test_a_check_is_a_command(stadtbus: Stadtbus) -> None:
    done = stadtbus("check", "broker")
    assert (done.returncode, done.stdout.startswith("STADTBUS BROKER OK")) == (0, True)


def positions(done: Done) -> dict[tuple[int, int | None], int]:
    (document,) = lines(done)
    return {(one["partition"], one["from"]): one["to"] for one in document["moves"]}


@pytest.mark.slow
def test_a_group_is_moved_and_held_to_its_lag(stadtbus: Stadtbus) -> None:
    line = json.dumps(
        {
            "thing": "1", "datastream": "a", "municipality": "055150000000",
            "observed_property": "bicycle-count", "phenomenon_time": "2026-07-01T00:00:00Z",
            "interval_seconds": 900, "result": 1.0, "unit": "1", "quality": "VALID",
        }
    )  # fmt: skip
    system = ("--system", "de.mun.055150000000.zaehlstellen")
    sent = stadtbus("publish", TOPIC, *system, given=f"{line}\n" * 3)
    assert sent.returncode == 0, sent.stderr
    seek = ("group", "seek", GROUP)
    first = stadtbus(*seek, "--topic", TOPIC, "--end", "--yes", "-o", "json")
    assert first.returncode == 0, first.stderr
    assert len(positions(first)) == 3
    looked = stadtbus(*seek, "--start", "--dry-run")
    assert looked.returncode == 0
    assert "Nothing was changed." in looked.stderr
    assert "events are read again" in looked.stderr
    (before,) = [row for row in lag(stadtbus) if row["group"] == GROUP]
    assert (before["events"], before["seconds"]) == (0, 0.0)
    back = stadtbus(*seek, "--start", "--yes", "-o", "json")
    assert set(positions(back).values()) == {0}
    (after,) = [row for row in lag(stadtbus) if row["group"] == GROUP]
    assert after["events"] >= 3
    late = stadtbus("check", "lag", "--group", GROUP, "-w", "0s")
    assert late.returncode == 1
    assert f"WARNING: {GROUP} on {TOPIC}" in late.stdout
    assert stadtbus("check", "lag", "--group", GROUP).returncode == 0, "it promised nothing"


def lag(stadtbus: Stadtbus) -> list[dict[str, Any]]:
    (document,) = lines(stadtbus("group", "lag", "-o", "json"))
    rows: list[dict[str, Any]] = document["lag"]
    return rows


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        pytest.param((), 2, "give one of --time, --offset", id="no target"),
        pytest.param(("--start", "--end"), 2, "more than once", id="two targets"),
        pytest.param(("--time", "soon"), 2, "is no time", id="no time"),
        pytest.param(("--start",), 6, "no position anywhere", id="no such group"),
        pytest.param(("--start", "--topic", TOPIC), 2, "nobody is there to ask", id="not asked"),
    ],
)
def test_a_seek_that_cannot_be(
    stadtbus: Stadtbus, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    done = stadtbus("group", "seek", "de.agency.statistik.none", *arguments)
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_the_bus_own_groups_are_shown_on_request(stadtbus: Stadtbus, node: NodeProcess) -> None:
    own, shown = (
        {row["group"] for row in lines(stadtbus("group", "ls", *more, "-o", "json"))[0]["groups"]}
        for more in (("--all",), ())
    )
    assert any(name.startswith("_stadtbus.canary.") for name in own)
    assert not any(name.startswith("_") for name in shown)
