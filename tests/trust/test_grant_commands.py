"""Asking for a grant, deciding on it and looking at it: the commands against a running node."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.trust.keys import make
from ops.node import NodeProcess
from tests.trust.desk import OFFICES, RINGELAI, Desk

pytestmark = pytest.mark.slow

OFFICE = "de.agency.finanzamt"
TOPIC = "resident.address-changed.v1"
ASK = (
    "grant", "ask", TOPIC, "--recipient", OFFICE, "--owner", RINGELAI, "--field", "valid_from",
    "--field", "cause", "--row", '{"field": "cause", "in": ["MOVE"]}', "--purpose", "tax",
    "--norm", "§ 34 Abs. 1 BMG", "--basis", "Für die Grundsteuer.",
    "--until", "2099-01-01T00:00:00Z",
)  # fmt: skip


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("node"), "--roles", "broker,registry") as running:
        yield running


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, node: NodeProcess) -> Desk:
    """A town, and an office that wants to know who moves."""
    desk = Desk(tmp_path_factory.mktemp("desk"), node).with_a_town()
    make(desk.folder / "office.key")
    admitted = ("--key", "office.pem", "--name", "Finanzamt", *OFFICES, "--sign", "root.key")
    desk.does("member", "admit", OFFICE, *admitted)
    return desk


def asked(desk: Desk) -> str:
    """Ask once more, and return the grant's name."""
    desk.does(*ASK, "--sign", "office.key")
    return str(desk.does("grant", "ls")["grants"][-1]["grant"])


def test_from_the_question_to_the_end(desk: Desk) -> None:
    said = desk.run(*ASK, "--sign", "office.key")
    assert said.exception is None, said.exception
    for word in (OFFICE, RINGELAI, "cause and valid_from", '"cause" is "MOVE"', "§ 34 Abs. 1 BMG"):
        assert word in said.output
    row = desk.does("grant", "ls", "--owner", RINGELAI)["grants"][-1]
    name = row["grant"]
    assert (row["state"], row["recipient"], row["fields"]) == (
        "requested", OFFICE, "cause, valid_from",
    )  # fmt: skip
    stranger = ("grant", "approve", name, "--yes", "--sign", "office.key")
    assert "this is for" in desk.fails(3, *stranger)
    desk.does(
        "grant", "approve", name[:12], "--yes", "--why", "Nach Prüfung.", "--sign", "city.key"
    )
    shown = desk.does("grant", "show", name)
    assert shown["state"] == "live"
    assert shown["asked"] <= shown["decided"]
    assert any("Only events flow" in sentence for sentence in shown["words"])
    assert "is approved" in desk.fails(3, "grant", "refuse", name, "--sign", "city.key")
    desk.does("grant", "revoke", name, "--sign", "city.key")
    shown = desk.does("grant", "show", name)
    assert shown["state"] == "revoked"
    assert shown["decided"] <= shown["ended"]
    assert desk.does("trust", "check")["alarms"] == []


@pytest.mark.parametrize(
    ("command", "signer", "state"),
    [
        (["refuse"], "city.key", "refused"),
        (["withdraw"], "office.key", "withdrawn"),
        (["approve", "give-up"], "office.key", "ended"),
    ],
)
def test_other_ends(desk: Desk, command: list[str], signer: str, state: str) -> None:
    name = asked(desk)
    for one in command:
        approves = one == "approve"
        sure = ["--yes"] if approves else []
        desk.does("grant", one, name, *sure, "--sign", "city.key" if approves else signer)
    assert desk.does("grant", "show", name)["state"] == state


def test_an_approval_is_signed_where_the_key_is(desk: Desk) -> None:
    name = asked(desk)
    desk.does("grant", "approve", name, "--yes", "--to", "approval.json")
    desk.does("trust", "sign", "approval.json", "--sign", "city.key")
    desk.does("trust", "submit", "approval.json")
    assert desk.does("grant", "show", name)["state"] == "live"


def test_an_approval_is_asked_for(desk: Desk) -> None:
    name = asked(desk)
    asks = desk.run("grant", "approve", name, "--sign", "city.key", given="n\n")
    assert asks.exit_code == 3
    assert "cause and valid_from" in asks.output
    assert "None of the newest events would flow." in asks.output
    assert desk.does("grant", "show", name)["state"] == "requested"
    desk.run("grant", "approve", name, "--sign", "city.key", given="y\n")
    assert desk.does("grant", "show", name)["state"] == "live"


def test_who_gets_what_and_what_one_gets(desk: Desk) -> None:
    asked(desk)
    for option, one, other in (
        ("--owner", RINGELAI, OFFICE),
        ("--recipient", OFFICE, RINGELAI),
        ("--topic", TOPIC, "sensor.reading.v1"),
    ):
        assert desk.does("grant", "ls", option, one)["grants"]
        assert not desk.does("grant", "ls", option, other)["grants"]


@pytest.mark.parametrize(
    ("code", "words", "arguments"),
    [
        (2, "in one way", [*ASK, "--authority", OFFICE]),
        (2, "is no JSON", [*ASK, "--row", "cause=MOVE"]),
        (2, "begins at", [*ASK[:-1], "2020-01-01T00:00:00Z"]),
        (2, "in which zone", [*ASK[:-1], "2099-01-01T00:00:00"]),
        (2, "purpose", [*ASK, "--purpose", "fun"]),
        (2, "norm", [*ASK, "--norm", "§ 1 Erfunden"]),
        (2, 'no field "income"', [*ASK, "--field", "income"]),
        (2, "MOOVE", [*ASK, "--row", '{"field": "cause", "is": "MOOVE"}']),
        (6, "no contract", ["grant", "ask", "resident.gone.v1", *ASK[3:]]),
        (6, "there is no grant", ["grant", "approve", "ffffffff", "--yes"]),
        (6, "there is no grant", ["grant", "show", ""]),
        (2, "nobody signs", [*ASK]),
        (2, "nobody signs", ["grant", "approve", "ffffffff"]),
    ],
)
def test_what_is_wrong_is_said(
    desk: Desk, tmp_path: Path, code: int, words: str, arguments: list[str]
) -> None:
    signed = [] if words == "nobody signs" or arguments[1] == "show" else ["--sign", "office.key"]
    assert words in desk.fails(code, *arguments, *signed)
