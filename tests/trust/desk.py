"""A desk at which somebody signs, with a bus within reach: the commands as people type them."""

import json
from contextlib import chdir
from pathlib import Path
from typing import Any, Self

from typer.testing import CliRunner, Result

from bus.cli.app import app
from bus.cli.edge import explain
from bus.errors import BusError
from bus.trust.keys import make
from ops.node import NodeProcess

RINGELAI, GRAFENAU = "de.mun.092720140140", "de.mun.092720120120"
MELDEWESEN = f"{RINGELAI}.meldewesen"
OFFICES = ("--contact", "bus@town.example", "--privacy", "datenschutz@town.example")


class Desk:
    """A folder in which somebody works, with a bus within reach and a key for each party."""

    def __init__(self, folder: Path, node: NodeProcess) -> None:
        self.folder, self._node = folder, node
        for name in ("root", "city", "system", "next"):
            make(folder / f"{name}.key")

    def run(self, *arguments: object, given: str = "") -> Result:
        """Run a command in the folder."""
        with chdir(self.folder):
            words = [str(one) for one in arguments]
            return CliRunner().invoke(app, words, input=given, env=self._node.environment)

    def does(self, *arguments: object, given: str = "") -> dict[str, Any]:
        """Run a command that has to succeed, and return its JSON."""
        done = self.run(*arguments, "-o", "json", given=given)
        assert done.exception is None, done.exception
        return dict(json.loads(done.stdout))

    def fails(self, code: int, *arguments: object) -> str:
        """Run a command that has to fail so, and return what it says."""
        done = self.run(*arguments)
        if isinstance(done.exception, BusError):
            assert done.exception.exit_code == code
            return explain(done.exception)
        assert done.exit_code == code, done.output
        return done.output

    def with_a_town(self) -> Self:
        """Name a root, and admit a municipality and its system."""
        self.does("trust", "begin", "--key", "root.pem", "--sign", "root.key")
        self.does("member", "admit", RINGELAI, "--key", "city.pem", *OFFICES, "--sign", "root.key")
        self.does("system", "attest", MELDEWESEN, "--key", "system.pem", "--sign", "city.key")
        return self
