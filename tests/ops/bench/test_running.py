"""Contenders run in turn, each as a process; a run that is not verified leaves no figures."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from ops.bench.model import Case, Contender, Measure, Scenario, Stage, Task, Unverified
from ops.bench.running import Plan, measured, run
from tests.waiting import until

pytestmark = pytest.mark.slow

HERE = "tests.ops.bench.contenders"


def scenario(
    log: Path,
    *runs: str,
    prepare: str | None = None,
    warm: int = 0,
    stage: Stage = "nothing",
    count: int = 1,
) -> Scenario:
    """A scenario whose contenders are the functions of these names, called a, b, …"""
    return Scenario(
        name="try",
        title="Try",
        what="What.",
        verified="How.",
        measures=(Measure(name="runs", unit="runs", better="more"),),
        contenders=tuple(
            Contender(name=name, title=name.upper(), run=f"{HERE}:{function}")
            for name, function in zip("abc", runs, strict=False)
        ),
        cases=(Case(values={"log": str(log)}),),
        prepare=prepare and f"{HERE}:{prepare}",
        warm=warm,
        stage=stage,
        count=count,
        counted="events",
        quick=1,
    )


def test_contenders_take_turns_and_warm_rounds_do_not_count(tmp_path: Path) -> None:
    log = tmp_path / "log"
    outcome = measured(
        scenario(log, "note", "note", warm=1), Plan(engine="embedded", rounds=2), lambda _: None
    )
    assert log.read_text(encoding="utf-8").split() == [
        "try-0-a-0", "try-0-b-0", "try-0-a-1", "try-0-b-1", "try-0-a-2", "try-0-b-2",
    ]  # fmt: skip
    assert outcome.state == "measured"
    (row,) = outcome.rows
    assert [one.runs for one in row.series] == [(3.0, 5.0), (4.0, 6.0)]


def test_what_was_prepared_is_handed_to_the_contenders(tmp_path: Path) -> None:
    outcome = measured(
        scenario(tmp_path / "log", "told", prepare="prepared"),
        Plan(engine="embedded", rounds=1),
        lambda _: None,
    )
    assert outcome.rows[0].series[0].runs == (1.0,)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        pytest.param("spoilt", "try-0-b-0: 7 events came, 8 should have", id="its data are wrong"),
        pytest.param("broken", "the wheel came off", id="it fails"),
        pytest.param("silent", "did not report 'runs'", id="it reports something else"),
    ],
)
def test_one_bad_run_leaves_a_scenario_without_figures(
    tmp_path: Path, function: str, reason: str
) -> None:
    outcome = measured(
        scenario(tmp_path / "log", "note", function),
        Plan(engine="embedded", rounds=1),
        lambda _: None,
    )
    assert (outcome.state, outcome.rows) == ("not verified", ())
    assert reason in outcome.reason


def test_a_contender_that_spares_headers_leaves_no_figures(tmp_path: Path) -> None:
    outcome = measured(
        scenario(tmp_path / "log", "without_headers", stage="bus", count=10),
        Plan(engine="embedded", rounds=1),
        lambda _: None,
    )
    assert (outcome.state, outcome.rows) == ("not verified", ())
    assert "an event has the headers ['ce_type', 'ce_id'], not [" in outcome.reason


def test_what_is_prepared_wrongly_is_found_before_anybody_reads_it(tmp_path: Path) -> None:
    outcome = measured(
        scenario(tmp_path / "log", "note", prepare="load_without_one", stage="bus", count=10),
        Plan(engine="embedded", rounds=1),
        lambda _: None,
    )
    assert (outcome.state, outcome.rows) == ("not verified", ())
    assert "9 events came, 10 should have" in outcome.reason
    assert not (tmp_path / "log").exists()


async def test_a_bench_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ops.bench", "latency", "--count", "60"]
    with (tmp_path / "said").open("wb") as said:
        bench = await asyncio.create_subprocess_exec(*command, stdout=said, stderr=said)
    try:
        await until(lambda: len(descendants(bench.pid)) >= MEMBERS)
        started = descendants(bench.pid)
    finally:
        bench.kill()
        await bench.wait()
    await until(lambda: not any(map(is_alive, started)))


async def test_a_run_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    log = tmp_path / "pid"
    task = Task(name="slow", count=1, case={"log": str(log)})
    with pytest.raises(Unverified, match="slow took longer than 3 s"):
        run(f"{HERE}:endless", task, seconds=3)
    child = int(log.read_text(encoding="utf-8"))
    await until(lambda: not is_alive(child))


MEMBERS = 4
"""Processes of a bench that measures latency: node, contender, reader, Python's tracker of it."""


def children(pid: int) -> list[int]:
    """Return the processes that one has started (proc(5): task/*/children)."""
    try:
        files = list(Path(f"/proc/{pid}/task").glob("*/children"))
        return [int(child) for file in files for child in file.read_text(encoding="utf-8").split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def descendants(pid: int) -> set[int]:
    """Return the processes that one has started, and those that these have started."""
    return {one for child in children(pid) for one in {child, *descendants(child)}}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    except (ProcessLookupError, FileNotFoundError):
        return False
