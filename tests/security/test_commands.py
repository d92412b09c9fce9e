"""`stadtbus certificate`: what there is, until when, and a renewal beside the running node."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bus.cli.app import app
from bus.errors import NotFound
from bus.security import Folder
from bus.security.certificates import names
from bus.security.making import initialise
from bus.settings import load


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["certificate", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """The folder of a node that was secured 350 days ago."""
    settings = load({"data": tmp_path}, environ={}, directory=tmp_path)
    initialise(settings, now=datetime.now(UTC) - timedelta(days=350))
    return Folder(tmp_path)


def listed(data: Path) -> list[dict[str, object]]:
    done = run("ls", "--data", data, "-o", "json")
    assert done.exit_code == 0, done.output
    return list(json.loads(done.stdout)["certificates"])


def test_it_tells_of_each_certificate(folder: Folder, tmp_path: Path) -> None:
    node, ca = listed(tmp_path)
    assert (node["file"], node["days_left"]) == (str(folder.certificate), 14)
    assert "localhost" in str(node["names"])
    assert (ca["file"], ca["days_left"], ca["names"]) == (str(folder.ca), 3299, [])


def test_it_renews_what_is_due(folder: Folder, tmp_path: Path) -> None:
    done = run("renew", "--data", tmp_path)
    assert done.exit_code == 0
    assert "had 14 days left, renewed" in done.stderr
    assert listed(tmp_path)[0]["days_left"] == 364
    assert "counts for 364 more days" in run("renew", "--data", tmp_path).stderr


def test_it_adds_a_name(folder: Folder, tmp_path: Path) -> None:
    done = run("renew", "--data", tmp_path, "--hostname", "new.example")
    assert "lacked new.example, renewed" in done.stderr
    assert "new.example" in names(folder.certificate.read_bytes())


@pytest.mark.parametrize("verb", ["ls", "renew"])
def test_a_node_that_was_never_secured_has_none(tmp_path: Path, verb: str) -> None:
    done = run(verb, "--data", tmp_path)
    assert isinstance(done.exception, NotFound)
    assert "--init-security" in done.exception.remedy
    assert list(tmp_path.iterdir()) == []
