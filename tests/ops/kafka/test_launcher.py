"""The launcher as a process: what it says, what it refuses, and that it leaves nothing behind."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bus.admin import Admin
from bus.listen import bind
from bus.settings import Address, KafkaSettings
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.usefixtures("apache")]

DEADLINE = 60.0


async def test_the_ready_line(tmp_path: Path) -> None:
    async with launched("--data", tmp_path) as process:
        ready = await said(process)
        async with Admin(KafkaSettings(bootstrap=ready["bootstrap"])) as admin:
            assert len(await admin.brokers()) == 1
        process.send_signal(signal.SIGTERM)
        assert await ended(process) == (0, "")
    assert not any(map(alive, pids(ready)))


async def test_a_secure_clusters_line_says_how_to_get_in(tmp_path: Path) -> None:
    async with launched("--secure", "--data", tmp_path) as process:
        ready = await said(process)
        names = ("bootstrap", "security_protocol", "username", "password_file", "ca_file")
        async with Admin(KafkaSettings(**{name: ready[name] for name in names})) as admin:
            assert len(await admin.brokers()) == 1


async def test_killed_it_takes_its_brokers_along(tmp_path: Path) -> None:
    async with launched("--data", tmp_path) as process:
        ready = await said(process)
        process.kill()
        await until(lambda: not any(map(alive, pids(ready))))
    assert (tmp_path / "cluster.json").exists(), "a folder that was given is its owner's"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "asked to stop"])
async def test_a_folder_of_its_own_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: signal.Signals
) -> None:
    """Passwords and keys are in it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    async with launched("--secure") as process:
        ready = await said(process)
        folder = Path(ready["password_file"]).parent
        assert folder.parent == tmp_path
        process.send_signal(end)
        await until(lambda: not folder.exists())


async def test_it_stops_while_it_starts(tmp_path: Path) -> None:
    log = tmp_path / "broker-1" / "log.txt"
    async with launched("--data", tmp_path) as process:
        await until(log.exists)
        process.send_signal(signal.SIGINT)
        assert await ended(process) == (0, "")


async def test_it_says_when_a_broker_ends(tmp_path: Path) -> None:
    async with launched("--data", tmp_path) as process:
        ready = await said(process)
        os.kill(pids(ready)[0], signal.SIGKILL)
        code, told = await ended(process)
    assert code == 4
    assert "broker 1 ended: ended by SIGKILL" in told
    assert "every broker has ended" in told


def _others(folder: Path) -> None:
    (folder / "thesis.txt").write_text("chapter 1", encoding="utf-8")


def _of_three(folder: Path) -> None:
    about = {"cluster_id": "x", "brokers": 3, "secure": False}
    (folder / "cluster.json").write_text(json.dumps(about), encoding="utf-8")


def _damaged(folder: Path) -> None:
    (folder / "cluster.json").write_text("{", encoding="utf-8")


def _no_object(folder: Path) -> None:
    (folder / "cluster.json").write_text("[]", encoding="utf-8")


def _new(_: Path) -> None:
    """Leave the folder as it is."""


@pytest.mark.parametrize(
    ("prepare", "arguments", "sentence"),
    [
        pytest.param(_new, ("--brokers", "2"), "1 or 3 brokers", id="two brokers"),
        pytest.param(_new, ("--port", "65535", "--brokers", "3"), "no such port", id="past"),
        pytest.param(_others, (), "no cluster's folder", id="a folder of something else"),
        pytest.param(_of_three, (), "an open cluster of 3", id="a folder of three"),
        pytest.param(_of_three, ("--secure",), "an open cluster of 3", id="not secure"),
        pytest.param(_damaged, (), "cannot be read", id="a damaged folder"),
        pytest.param(_no_object, (), "cannot be read", id="a folder that says something else"),
    ],
)
async def test_arguments_that_do_not_fit(
    tmp_path: Path,
    prepare: Callable[[Path], None],
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    prepare(tmp_path)
    async with launched("--data", tmp_path, *arguments) as process:
        code, told = await ended(process)
    assert code == 2
    assert sentence in told
    assert "Next: " in told
    assert "Traceback" not in told


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with bind(Address(host="127.0.0.1", port=0), "test") as other:
        port = other.getsockname()[1]
        async with launched("--data", tmp_path, "--port", port) as process:
            code, told = await ended(process)
    assert code == 2
    assert f"127.0.0.1:{port}" in told


async def test_a_folder_that_is_in_use(tmp_path: Path) -> None:
    async with launched("--data", tmp_path) as first:
        await said(first)
        async with launched("--data", tmp_path) as second:
            code, told = await ended(second)
    assert code == 2
    assert "another cluster runs on it" in told


@asynccontextmanager
async def launched(*arguments: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the launcher as a process, and end it with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ops.kafka", "run", "-o", "json", *map(str, arguments),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def said(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE):
        return json.loads(await process.stdout.readline())


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    async with asyncio.timeout(DEADLINE):
        _, complaints = await process.communicate()
    return process.returncode, complaints.decode()


def pids(ready: Any) -> list[int]:
    return [one["pid"] for one in ready["brokers"]]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    return state != "Z"
