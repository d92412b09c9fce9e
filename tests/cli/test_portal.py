"""`stadtbus portal user`: who can log in to the page with a password."""

import json
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bus.cli.app import app
from bus.errors import BusError, Conflict, InvalidSettings, NotFound
from bus.portal.security.database import Database
from bus.portal.security.passwords import Passwords
from bus.portal.security.sessions import Person, Sessions
from bus.portal.security.users import Users
from bus.portal.viewer import Role


def run(data: Path, *arguments: str, typed: str | None = None) -> Result:
    command = ["portal", "user", *arguments, "--data", str(data)]
    return CliRunner().invoke(app, command, input=typed)


def add(data: Path, name: str, *arguments: str) -> Result:
    return run(data, "add", name, "--password-file", "-", *arguments, typed="a long password\n")


def listed(data: Path) -> list[dict[str, str]]:
    return list(json.loads(run(data, "ls", "-o", "json").stdout)["users"])


def test_users_come_and_go(tmp_path: Path) -> None:
    assert listed(tmp_path) == []
    assert add(tmp_path, "bert", "--role", "operator").exit_code == 0
    assert add(tmp_path, "anna").exit_code == 0
    assert listed(tmp_path) == [
        {"user": "anna", "role": "viewer", "officer_of": None},
        {"user": "bert", "role": "operator", "officer_of": None},
    ]
    assert run(tmp_path, "role", "anna", "administrator").exit_code == 0
    assert run(tmp_path, "rm", "bert").exit_code == 0
    assert listed(tmp_path) == [{"user": "anna", "role": "administrator", "officer_of": None}]


def test_an_officer_is_of_one_member(tmp_path: Path) -> None:
    add(tmp_path, "anna")
    for member in ("de.mun.092720140140", "de.agency.finanzamt"):
        assert run(tmp_path, "officer", "anna", member).exit_code == 0
        assert listed(tmp_path)[0]["officer_of"] == member
    assert run(tmp_path, "officer", "anna", "none").exit_code == 0
    assert listed(tmp_path)[0]["officer_of"] is None
    # A name that is given again is of nobody.
    run(tmp_path, "officer", "anna", "de.agency.finanzamt")
    run(tmp_path, "rm", "anna")
    add(tmp_path, "anna")
    assert listed(tmp_path)[0]["officer_of"] is None


def test_another_password_ends_what_the_first_one_began(tmp_path: Path) -> None:
    add(tmp_path, "anna")
    file = tmp_path / "password"
    file.write_text("another long password\n")
    with closing(Database(tmp_path)) as database:
        sessions = Sessions(database, idle=60.0, longest=60.0)
        anna = Person(issuer="", subject="anna", name="anna", role=Role.VIEWER)
        begun = sessions.begin(anna, 0.0)
        assert sessions.find(begun, 1.0) == anna
        assert run(tmp_path, "password", "anna", "--password-file", str(file)).exit_code == 0
        assert sessions.find(begun, 1.0) is None
        kept = Users(database).find("anna")
    assert kept is not None
    assert Passwords().matches("another long password", kept.hash)
    assert kept.hash.startswith("$argon2id$v=19$m=65536,t=3,p=1$")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param(["add", "anna", "--password-file", "-"], Conflict, id="there already"),
        pytest.param(["add", "-x y", "--password-file", "-"], SystemExit, id="an option"),
        pytest.param(["add", "a b", "--password-file", "-"], InvalidSettings, id="no name"),
        pytest.param(["add", "ä", "--password-file", "-"], InvalidSettings, id="accents"),
        pytest.param(["add", "bert"], InvalidSettings, id="nobody can be asked"),
        pytest.param(["add", "bert", "--role", "king"], SystemExit, id="no role"),
        pytest.param(["rm", "bert"], NotFound, id="nobody to remove"),
        pytest.param(["role", "bert", "viewer"], NotFound, id="nobody to change"),
        pytest.param(["officer", "bert", "de.mun.1"], NotFound, id="nobody to appoint"),
        pytest.param(["officer", "anna", "de.mun"], InvalidSettings, id="of no member"),
        pytest.param(["password", "bert", "--password-file", "-"], NotFound, id="nobody's"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path, arguments: list[str], error: type[BaseException]
) -> None:
    add(tmp_path, "anna")
    done = run(tmp_path, *arguments, typed="a long password\n")
    assert isinstance(done.exception, error), done.output
    assert not isinstance(done.exception, BusError) or done.exception.remedy
    assert [one["user"] for one in listed(tmp_path)] == ["anna"]


@pytest.mark.parametrize("password", ["short", "x" * 513, ""])
def test_a_password_that_is_none(tmp_path: Path, password: str) -> None:
    done = run(tmp_path, "add", "anna", "--password-file", "-", typed=f"{password}\n")
    assert isinstance(done.exception, InvalidSettings)
    assert listed(tmp_path) == []
