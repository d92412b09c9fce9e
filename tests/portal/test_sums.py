"""Events by the minute, over eight days, kills and damage."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.portal.sums import KEPT_MINUTES, Sum, Sums, spread


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "portal.db"


@pytest.fixture
def sums(file: Path) -> Iterator[Sums]:
    kept = Sums(file)
    kept.open()
    yield kept
    kept.close()


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        pytest.param(60.0, 65.0, {1: Sum(5, 10, 5)}, id="within a minute"),
        pytest.param(115.0, 125.0, {1: Sum(5, 10, 5), 2: Sum(5, 10, 5)}, id="over its end"),
        pytest.param(115.0, 120.0, {1: Sum(5, 10, 5)}, id="to its end"),
        pytest.param(60.0, 60.0, {}, id="no time at all"),
        pytest.param(60.0, 50.0, {}, id="a clock that was set back"),
        pytest.param(0.0, 301.0, {}, id="too long to say when"),
    ],
)
def test_a_while_is_spread_over_its_minutes(
    begin: float, end: float, expected: dict[int, Sum]
) -> None:
    assert spread(begin, end, 2.0, 1.0) == expected


def test_parts_of_a_minute_add_up(sums: Sums) -> None:
    sums.add({7: Sum(5, 10, 1)})
    sums.add({7: Sum(5, 20, 2), 8: Sum(1, 1, 1)})
    assert sums.read(7, 9) == {7: Sum(10, 30, 3), 8: Sum(1, 1, 1)}
    assert sums.read(0, 20, step=10) == {0: Sum(11, 31, 4)}
    assert sums.read(9, 20) == {}


def test_what_is_older_than_eight_days_is_forgotten(sums: Sums) -> None:
    sums.add({minute: Sum(60, 1, 1) for minute in range(1, KEPT_MINUTES + 1)})
    sums.add({KEPT_MINUTES + 100: Sum(60, 1, 1)})
    kept = sums.read(0, KEPT_MINUTES + 200)
    assert min(kept) == 101
    assert len(kept) == KEPT_MINUTES - 100 + 1


def test_another_start_finds_what_was_counted(file: Path) -> None:
    for begun in (1, 2):
        sums = Sums(file)
        sums.open()
        sums.add({5: Sum(1, 1, 1)})
        assert sums.read(5, 6) == {5: Sum(begun, begun, begun)}
        sums.close()
    assert file.stat().st_mode & 0o777 == 0o600


KILLED = """
import os, signal, sys
from pathlib import Path
from bus.portal.sums import Sum, Sums
sums = Sums(Path(sys.argv[1]))
sums.open()
sums.add({5: Sum(60, 120, 60)})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_costs_nothing_that_was_added(file: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, str(file)])
    assert ended.returncode == -signal.SIGKILL
    sums = Sums(file)
    sums.open()
    assert sums.read(0, 10) == {5: Sum(60, 120, 60)}
    sums.close()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"no database at all, but long enough to be taken for one" * 100, id="text"),
        pytest.param(b"SQLite format 3\x00" + os.urandom(4080), id="damaged"),
    ],
)
def test_a_database_that_cannot_be_read_is_put_aside(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    sums = Sums(file)
    sums.open()
    sums.add({5: Sum(1, 1, 1)})
    assert sums.read(5, 6) == {5: Sum(1, 1, 1)}
    sums.close()
    assert file.with_suffix(".unreadable").read_bytes() == content


def test_a_database_for_which_there_is_no_room_stays_and_is_tried_again(
    file: Path, sums: Sums, caplog: pytest.LogCaptureFixture
) -> None:
    sums.add({5: Sum(60, 120, 60)})
    sums.close()
    size = file.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    again = Sums(file)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        again.open()
        again.add({6: Sum(60, 60, 60)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caplog.text.count("cannot be opened, and is tried again") == 1
    assert (again.read(0, 10), file.stat().st_size) == ({}, size)
    again.add({7: Sum(60, 60, 60)})
    assert again.read(0, 10) == {5: Sum(60, 120, 60), 7: Sum(60, 60, 60)}
    assert not file.with_suffix(".unreadable").exists()
    again.close()


def test_a_second_portal_does_not_count_the_same_events_again(file: Path, sums: Sums) -> None:
    sums.add({5: Sum(1, 1, 1)})
    second = Sums(file)
    second.open()
    second.add({5: Sum(1, 1, 1)})
    assert second.read(5, 6) == {}
    second.close()
    assert sums.read(5, 6) == {5: Sum(1, 1, 1)}


def test_closed_sums_know_nothing(file: Path) -> None:
    sums = Sums(file)
    sums.add({5: Sum(1, 1, 1)})
    assert sums.read(0, 10) == {}
