"""The count report as an agency runs it: a process of its own, a real bus."""

from pathlib import Path
from typing import Any

import pytest

from consumers.count_report.__main__ import app
from tests.running import Bus, Program, ended, program, run

pytestmark = pytest.mark.slow

MODULE = "consumers.count_report"
GROUP = "de.agency.statistik.count-report"


async def report(bus: Bus, folder: Path) -> list[dict[str, Any]]:
    printed = await run(MODULE, ["--report"], bus.environment, folder)
    assert printed.process.returncode == 0
    (document,) = printed.reports
    totals: list[dict[str, Any]] = document["totals"]
    return totals


async def taken_in(bus: Bus, folder: Path, *arguments: object) -> Program:
    """Publish readings, and let the agency take all of them in."""
    published = await run("producers.counts", arguments, bus.environment, folder)
    wanted = set(published.ids("acknowledged"))
    async with program(MODULE, [], bus.environment, folder) as agency:
        await agency.until(lambda _: wanted <= set(agency.ids("delivered")))
        assert await agency.stop() == 0
    return agency


async def test_a_day_of_three_stations(bus: Bus, tmp_path: Path) -> None:
    agency = await taken_in(bus, tmp_path, "--limit", 96 * (7 + 3 + 9))
    assert agency.reports[0] == {"event": "ready", "group": GROUP}
    assert agency.reports[-1] == {"event": "done", "group": GROUP, "delivered": 1824}
    assert [
        (row["station"], row["counted"], row["day"], row["total"], row["readings"], row["expected"])
        for row in await report(bus, tmp_path)
    ] == [
        ("100031297", "bicycles", "2026-07-01", 24087, 96, 96),
        ("100034978", "bicycles", "2026-07-01", 3951, 96, 96),
        ("300037926", "bicycles", "2026-07-01", 6796, 96, 96),
    ]


@pytest.mark.slow
async def test_readings_that_come_again_are_counted_once(bus: Bus, tmp_path: Path) -> None:
    await taken_in(bus, tmp_path, "--limit", 600, "--state", "one")
    first = await report(bus, tmp_path)
    await taken_in(bus, tmp_path, "--limit", 600, "--state", "other")
    assert await report(bus, tmp_path) == first


async def test_it_can_be_slowed(bus: Bus, tmp_path: Path) -> None:
    await run("producers.counts", ["--limit", 60], bus.environment, tmp_path)
    async with program(MODULE, ["--delay", 0.05], bus.environment, tmp_path) as agency:
        await agency.until(lambda _: len(agency.ids("delivered")) >= 3)
        assert await agency.stop() == 0
    assert len(agency.ids("delivered")) < 60, "it stops after the event at hand"


def test_people_get_a_table(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(app, ["--report"]) == 0
    header = capsys.readouterr().out.split("\n")[1]
    assert header.split() == ["station", "counted", "day", "total", "readings", "expected"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param([], 4, "127.0.0.1:1", id="a bus that is not there: its address"),
        pytest.param(["--delay", "-1"], 2, "--delay", id="less than no delay"),
        pytest.param(["--database", "x"], 2, "sqlite:///", id="no URL: how one looks"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    nowhere: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    assert ended(app, arguments) == code
    assert said in capsys.readouterr().err
