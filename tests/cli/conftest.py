"""A node as a process, and the command line as a user runs it."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.node import NodeProcess

Done = subprocess.CompletedProcess[str]
Stadtbus = Callable[..., Done]


@pytest.fixture(scope="package")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("node")) as running:
        yield running


@pytest.fixture(scope="package")
def stadtbus(node: NodeProcess, tmp_path_factory: pytest.TempPathFactory) -> Stadtbus:
    """Run a command against the node; flags that are given win over the node's addresses."""
    return user_of(node, tmp_path_factory.mktemp("user"))


def user_of(node: NodeProcess, folder: Path) -> Stadtbus:
    """Return what runs a command in a folder, against a node."""

    def run(*arguments: object, given: str = "", cwd: Path = folder) -> Done:
        return subprocess.run(
            [sys.executable, "-m", "bus.cli", *map(str, arguments)],
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            env=node.environment,
            cwd=cwd,
        )

    return run


def lines(done: Done) -> list[Any]:
    """Return what a command wrote to standard output, as JSON values."""
    return [json.loads(line) for line in done.stdout.splitlines()]
