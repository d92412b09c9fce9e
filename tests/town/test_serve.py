"""`stadtbus serve`: secured in one command, never open unsaid."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bus.security import Folder
from ops.node import NodeProcess
from tests.town.conftest import Done, says

pytestmark = pytest.mark.slow


def stadtbus(folder: Path, *arguments: object) -> Done:
    """Run a command in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "bus.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env={name: value for name, value in os.environ.items() if not name.startswith("STADTBUS_")},
        cwd=folder,
    )


@pytest.fixture
def listeners() -> list[str]:
    """Flags for addresses that stay, on ports that nobody has."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    names = ("broker", "registry", "portal", "ops")
    return [f"--{name}-listen=127.0.0.1:{port}" for name, port in zip(names, ports, strict=True)]


def test_from_nothing_to_a_secured_node(
    tmp_path: Path, listeners: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """The folder that it makes lets the administrator in, at this start and at the next."""
    data, flags = tmp_path / "data", ["--init-security", *listeners]
    folder = Folder(data)
    with NodeProcess(data, *flags, "--hostname", "bus.town.example") as node:
        assert node.ready["secured"] is True
        assert node.ready["registry"].startswith("https://")
        assert node.ready["ops"].startswith("https://")
        said = capfd.readouterr().err
        assert "made an authority, and a certificate for" in said
        assert "bus.town.example" in said
        says(stadtbus(folder.admin, "contract", "ls"), 0, "sensor.reading.v1")
        assert not folder.admin_new.exists()
        before = folder.admin_password.read_text()
        says(stadtbus(folder.admin, "user", "add", "admin", "--renew", "--folder", "."), 0)
        assert folder.admin_password.read_text() != before
        assert node.stop() == 0
    with NodeProcess(data, *flags[1:]) as node:  # without a word of security
        assert node.ready["secured"] is True
        says(stadtbus(folder.admin, "topic", "ls"), 0, "sensor.reading.v1")


def test_an_open_listener_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    data = tmp_path / "data"
    refused = stadtbus(tmp_path, "serve", "--data", data, "--ops-listen=0.0.0.0:0")
    says(refused, 2, "ops.listen: 0.0.0.0:0 can be reached", "--init-security")
    assert not data.exists()


def test_what_is_open_by_somebodys_word_is_said_aloud(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with NodeProcess(tmp_path, "--roles=broker", "--insecure", "--ops-listen=0.0.0.0:0") as node:
        assert node.ready["secured"] is False
    said = capfd.readouterr().err
    assert "! INSECURE: ops.listen 0.0.0.0:0 is open to everybody: it has no TLS and no" in said
    assert "broker.listen" not in said


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        pytest.param(
            ("--hostname", "bus.town.example"), ("--hostname", "add --init-security"), id="names"
        ),
        pytest.param(
            ("--init-security", "--kafka", "127.0.0.1:1"),
            ("made with its own tools",),
            id="a cluster",
        ),
        pytest.param(
            ("--init-security", "--broker-listen", "127.0.0.1:0"),
            ("clients cannot be told to go to 127.0.0.1:0",),
            id="another port each time",
        ),
        pytest.param(
            ("--init-security", "--hostname", "a b"), ('"a b" is no host',), id="no host's name"
        ),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, flags: tuple[str, ...], words: tuple[str, ...]
) -> None:
    says(stadtbus(tmp_path, "serve", "--data", tmp_path / "data", *flags), 2, *words)
    assert not (tmp_path / "data").exists()
