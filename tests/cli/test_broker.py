"""`stadtbus broker`: a store checked, backed up beside a running node, and put back."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bus.broker import backup as backups
from bus.cli.app import app
from ops.node import NodeProcess
from tests.cli.conftest import Stadtbus, lines, user_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The node's folder."""
    return tmp_path_factory.mktemp("node")


@pytest.fixture(scope="module")
def node(folder: Path) -> Iterator[NodeProcess]:
    with NodeProcess(folder) as running:
        yield running


@pytest.fixture(scope="module")
def stadtbus(node: NodeProcess, tmp_path_factory: pytest.TempPathFactory) -> Stadtbus:
    return user_of(node, tmp_path_factory.mktemp("user"))


def test_a_running_nodes_store_is_checked_backed_up_and_restored(
    folder: Path, stadtbus: Stadtbus, tmp_path: Path
) -> None:
    checked = stadtbus("broker", "check", "--data", folder, "-o", "json")
    assert checked.returncode == 0, checked.stderr
    report = lines(checked)[0]
    assert (report["v"], report["damages"], report["structure"]) == (1, 0, False)
    assert report["records"] > 0

    made = stadtbus("broker", "backup", tmp_path / "b.db", "--data", folder, "-o", "json")
    assert made.returncode == 0, made.stderr
    copied = lines(made)[0]
    assert copied["size_bytes"] == (tmp_path / "b.db").stat().st_size
    assert copied["topics"] > 0

    again = stadtbus("broker", "backup", tmp_path / "b.db", "--data", folder)
    assert again.returncode == 3
    assert "--force" in again.stderr

    in_use = stadtbus("broker", "restore", tmp_path / "b.db", "--data", folder, "--force")
    assert in_use.returncode == 2
    assert "another process uses this folder" in in_use.stderr

    other = ("--data", tmp_path / "other", "-o", "json")
    restored = stadtbus("broker", "restore", tmp_path / "b.db", *other)
    assert restored.returncode == 0, restored.stderr
    assert lines(restored)[0]["records"] >= report["records"]
    whole = stadtbus("broker", "check", *other)
    assert whole.returncode == 0, whole.stderr
    assert lines(whole)[0]["structure"] is True


def test_damage_is_named_and_the_exit_code_says_so(
    folder: Path, stadtbus: Stadtbus, tmp_path: Path
) -> None:
    stadtbus("broker", "backup", tmp_path / "b.db", "--data", folder)
    with closing(sqlite3.connect(tmp_path / "b.db")) as connection:
        first = connection.execute("select min(position) from log").fetchone()
        connection.execute("update log set checksum = 1 where position = ?", first)
        connection.commit()
    checked = stadtbus("broker", "check", "--file", tmp_path / "b.db")
    assert checked.returncode == 3
    assert "own columns fail their checksum" in checked.stdout
    assert "docs/operation.md" in checked.stderr
    refused = stadtbus("broker", "restore", tmp_path / "b.db", "--data", tmp_path / "other")
    assert refused.returncode == 2
    assert "damaged in 1 places" in refused.stderr


@pytest.mark.parametrize("verb", [("check",), ("backup", "copy")])
def test_where_no_store_is_it_says_so(
    stadtbus: Stadtbus, tmp_path: Path, verb: tuple[str, ...]
) -> None:
    done = stadtbus("broker", *verb, "--data", tmp_path / "nothing", cwd=tmp_path)
    assert done.returncode == 6
    assert "there is no such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_backup_that_is_told_to_stop_leaves_nothing(
    folder: Path, stadtbus: Stadtbus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "_copy", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    try:
        arguments = ["broker", "backup", str(tmp_path / "b.db"), "--data", str(folder)]
        stopped = CliRunner().invoke(app, arguments)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert stopped.exit_code == 130
    assert not list(tmp_path.iterdir())
