"""The demo as a user runs it: its account, its folder, its end."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bus.cli.demo.show import belongs_to_engine, verdict
from bus.errors import InvalidSettings
from bus.settings import KafkaSettings, Settings
from tests.engine import Engine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

GROUPS = {
    "de.agency.geodaten.address-book",
    "de.agency.statistik.count-report",
    "de.agency.verkehr.traffic-view",
}


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bus.cli", "demo", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
    )


def children(parent: int) -> list[int]:
    """Return the processes that a process has started, and theirs."""
    path = Path(f"/proc/{parent}/task/{parent}/children")
    found = [int(pid) for pid in path.read_text().split()] if path.exists() else []
    return found + [pid for child in found for pid in children(child)]


def alive(pids: Sequence[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_it_accounts_for_every_event_and_goes_on_when_started_again(tmp_path: Path) -> None:
    seen = 0
    for _ in range(2):
        done = demo(tmp_path, "--for", "4", "-o", "json")
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout.splitlines()[-1])
        assert summary["lost"] == 0
        assert summary["published"] == summary["acknowledged"] > 0
        assert summary["refused"] == 3
        assert summary["dead_letters"] == 2
        assert set(summary["delivered"]) == GROUPS
        assert sum(summary["delivered"].values()) == summary["acknowledged"]
        assert summary["delivered"]["de.agency.verkehr.traffic-view"] > 100
        assert summary["late"] == 0
        seen += 1
    assert seen == 2


def test_it_tells_what_flows_what_was_refused_and_who_is_late(tmp_path: Path) -> None:
    with socket.socket() as taken:
        with suppress(OSError):  # then somebody else has taken it, which does as well
            taken.bind(("127.0.0.1", 9092))
        done = demo(tmp_path, "--for", "7")
    assert done.returncode == 0, done.stderr
    for part in (
        "! the usual port of broker is taken, so it listens on ",
        "export STADTBUS_KAFKA__BOOTSTRAP=127.0.0.1:",
        "Ready in ",
        "schema refused: sensor.reading.v1-value is FULL_TRANSITIVE, but `unit` was removed",
        "malformed event on sensor.reading.v1",
        "Berlin ",
        "Münster ",
        "Köln     segment ",
        "count-report is ",
        "Nothing was lost.",
    ):
        assert part in done.stderr
    assert done.stdout == ""


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A demo that is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bus.cli", "demo", *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
    )
    assert process.stderr is not None
    assert any(line.startswith("Ready in") for line in process.stderr)
    yield process
    if process.returncode is None:
        process.kill()
        process.communicate()


def test_ctrl_c_ends_all_processes(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        programs = children(process.pid)
        assert len(programs) == 6
        process.send_signal(signal.SIGINT)
        _, talk = process.communicate(timeout=15)
        assert process.returncode == 0, talk
        assert alive(programs) == []


def test_the_kernel_ends_the_programs_when_the_demo_is_killed(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        handles = [os.pidfd_open(pid) for pid in children(process.pid)]
        assert len(handles) == 6
        process.kill()
        process.communicate(timeout=15)
        for handle in handles:
            # Readable once the process has ended, pidfd_open(2).
            assert select.select([handle], [], [], 15)[0]
            os.close(handle)


def test_what_an_earlier_run_left_unread_is_no_loss(tmp_path: Path) -> None:
    with running(tmp_path, "--rate", "200") as process:
        assert process.stderr is not None
        assert any("count-report is" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=15)
    done = demo(tmp_path, "--for", "2", "-o", "json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["lost"], summary["dead_letters"]) == (0, 2)


def test_a_demo_that_runs_is_not_disturbed_by_another(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        second = demo(tmp_path, "--reset", "--for", "1")
        assert second.returncode == 2
        assert "another demo runs in this folder" in second.stderr
        assert process.poll() is None
        assert (tmp_path / "stadtbus-demo" / "node" / "broker" / "broker.db").exists()


def test_a_folder_that_holds_something_else_is_let_be(tmp_path: Path) -> None:
    (tmp_path / "stadtbus-demo").mkdir()
    (tmp_path / "stadtbus-demo" / "letter.txt").write_text("mine")
    done = demo(tmp_path, "--reset", "--for", "1")
    assert done.returncode == 2
    assert "something else than a demo" in done.stderr
    assert (tmp_path / "stadtbus-demo" / "letter.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("lost", "settled", "code"),
    [
        pytest.param(0, True, 0, id="nothing lost"),
        pytest.param(1, True, 1, id="one lost"),
        pytest.param(None, False, 0, id="stopped before the end"),
    ],
)
def test_the_exit_code_is_the_verdict(lost: int | None, settled: bool, code: int) -> None:
    assert verdict({"lost": lost}, [], settled=settled) == code


async def test_a_folder_belongs_to_the_engine_that_it_began_on(
    tmp_path: Path, fresh: KafkaSettings, embedded: Engine
) -> None:
    """What its cities have published already is on that engine and nowhere else."""
    for _ in range(2):
        await belongs_to_engine(tmp_path, Settings(kafka=fresh))
    with pytest.raises(InvalidSettings, match=r"another engine .* begin anew with --reset"):
        await belongs_to_engine(tmp_path, Settings(kafka=embedded.settings))
