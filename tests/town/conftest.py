"""A secured node as a process, and users that its administrator made."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bus.security import Folder
from bus.security.clients import Access, hand_out
from bus.security.making import initialise
from bus.settings import Address, Settings, load
from ops.node import NodeProcess

READINGS = "sensor.reading.v1"
PUBLISHER = "de.mun.055150000000.zaehlstellen"
SUBSCRIBER = "de.agency.statistik.bericht"
NOBODY = "de.agency.niemand.nichts"
GROUP = "de.agency.statistik.town"

Done = subprocess.CompletedProcess[str]


@dataclass(slots=True)
class Town:
    """A secured node, and the folders of those who may log in.

    Args:
        node: the process.
        folder: what `--init-security` made.
        users: where users' folders are.
    """

    node: NodeProcess
    folder: Folder
    users: Path

    def of(self, user: str) -> Path:
        """Return a user's folder."""
        return self.users / user

    def settings(self, user: str) -> Settings:
        """Return a user's settings, with paths that are good anywhere."""
        place = self.of(user)
        given = load(environ={}, directory=place)
        files = {"password_file": place / "password", "ca_file": place / "ca.pem"}
        return given.model_copy(update={"kafka": given.kafka.model_copy(update=files)})

    def password(self, user: str) -> str:
        """Return a user's password."""
        return (self.of(user) / "password").read_text().strip()

    def address(self, listener: str) -> Address:
        """Return where a listener is."""
        return Address.parse(self.node.ready[listener].rpartition("//")[2])

    def run(self, user: str, module: str, *arguments: object, **variables: str) -> Done:
        """Run a program of ours in a user's folder."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("STADTBUS_")}
        return subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=60,
            env=inherited | variables,
            cwd=self.of(user),
        )

    def stadtbus(self, user: str, *arguments: object, **variables: str) -> Done:
        """Run a command in a user's folder."""
        return self.run(user, "bus.cli", *arguments, **variables)


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A secured node, with a publisher, a subscriber, and one who has no rights."""
    data = tmp_path_factory.mktemp("town")
    free = {f"{role}.listen": "127.0.0.1:1" for role in ("broker", "registry", "portal", "ops")}
    initialise(load({"data": data, **free}, environ={}, directory=data))
    folder = Folder(data)
    with NodeProcess(data) as node:
        made = Town(node, folder, tmp_path_factory.mktemp("users"))
        administrator = Access(
            bootstrap=node.ready["broker"],
            registry=node.ready["registry"],
            mechanism="SCRAM-SHA-512",
            user="admin",
            password=folder.admin_password.read_text().strip(),
            ca=folder.ca.read_text(),
        )
        hand_out(administrator, made.of("admin"))
        for user, rights in {
            PUBLISHER: ("--publish", READINGS),
            SUBSCRIBER: ("--subscribe", READINGS),
            NOBODY: (),
        }.items():
            added = made.stadtbus("admin", "user", "add", user, "--folder", made.of(user), *rights)
            assert added.returncode == 0, added.stderr
        yield made


Stadtbus = Callable[..., Done]


def says(done: Done, code: int, *words: str) -> Any:
    """Assert how a command ended, and that it said so in a sentence."""
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stdout + done.stderr, (word, done.stdout, done.stderr)
