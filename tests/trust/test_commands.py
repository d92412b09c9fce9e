"""From the root's key to a system's, as people do it: the commands against a running node."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.node import NodeProcess
from tests.trust.desk import GRAFENAU, MELDEWESEN, OFFICES, RINGELAI, Desk

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node whose town stands, for those who change nothing."""
    with NodeProcess(tmp_path_factory.mktemp("node"), "--roles", "broker,registry") as running:
        yield running


@pytest.fixture
def fresh_node(tmp_path: Path) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path / "node", "--roles", "broker,registry") as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, fresh_node: NodeProcess) -> Desk:
    return Desk(tmp_path, fresh_node)


@pytest.fixture
def town(desk: Desk) -> Desk:
    return desk.with_a_town()


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory, node: NodeProcess) -> Desk:
    """A town that nobody changes."""
    return Desk(tmp_path_factory.mktemp("desk"), node).with_a_town()


def test_from_the_root_to_a_system(town: Desk) -> None:
    root, city, system = (
        town.does("key", "show", f"{n}.pem")["key"] for n in ("root", "city", "system")
    )
    summary = town.does("trust", "check", "--root", root)
    assert (summary["root"], summary["members"], summary["systems"]) == (root, 1, 1)
    assert (summary["statements"], summary["alarms"]) == (3, [])
    (member,) = town.does("member", "ls")["members"]
    assert (member["member"], member["name"]) == (RINGELAI, "Ringelai")
    assert (member["ars"], member["state"]) == ("092720140140", "active")
    shown = town.does("member", "show", RINGELAI)
    assert (list(shown["keys"]), shown["systems"]) == ([city], [MELDEWESEN])
    (listed,) = town.does("system", "ls")["systems"]
    assert (listed["system"], listed["state"], list(listed["keys"])) == (
        MELDEWESEN, "active", [system],
    )  # fmt: skip
    assert "every statement is signed" in town.run("trust", "check").stdout


def test_a_system_is_registered_for_what_it_publishes(town: Desk) -> None:
    residents, sign = "resident.address-changed.v1", ("--sign", "city.key")
    town.does("system", "register", MELDEWESEN, residents, "sensor.reading.v1", *sign)
    (listed,) = town.does("system", "ls")["systems"]
    assert listed["publishes"] == [residents, "sensor.reading.v1"]
    town.does("system", "register", MELDEWESEN, *sign)
    assert town.does("system", "ls")["systems"][0]["publishes"] == []
    refused = town.fails(2, "system", "register", MELDEWESEN, "sensor.reading", *sign)
    assert "is no contract's topic" in refused
    refused = town.fails(3, "system", "register", f"{RINGELAI}.nothing", residents, *sign)
    assert "there is no system" in refused


def test_a_life_of_keys(town: Desk) -> None:
    """Rotation with overlap, revocation, retirement, suspension, leaving."""
    both = ("--sign", "city.key", "--sign", "next.key")
    town.does("key", "rotate", RINGELAI, "--key", "next.pem", *both)
    old = town.does("key", "show", "city.pem")["key"]
    town.does("key", "revoke", old, "--reason", "worn out", "--sign", "next.key")
    assert "revoked from" in town.does("member", "show", RINGELAI)["keys"][old]
    refused = town.fails(3, "system", "retire", MELDEWESEN, "--sign", "city.key")
    assert "not signed by a key of" in refused
    town.does("member", "suspend", RINGELAI, "--sign", "root.key")
    assert town.does("system", "ls", RINGELAI)["systems"][0]["state"] == "suspended"
    town.does("member", "resume", RINGELAI, "--sign", "root.key")
    town.does("system", "retire", MELDEWESEN, "--sign", "next.key")
    assert town.does("member", "show", RINGELAI)["retired"] == [MELDEWESEN]
    town.does("member", "leave", RINGELAI, "--sign", "next.key")
    assert town.does("member", "ls")["members"][0]["state"] == "left"
    assert town.does("trust", "check")["alarms"] == []


def test_what_the_root_does_alone_everybody_sees(town: Desk) -> None:
    town.does("key", "rotate", RINGELAI, "--key", "next.pem", "--sign", "root.key")
    told = town.fails(3, "trust", "check")
    assert f"the root alone gave {RINGELAI} the key" in told


def test_a_root_that_is_kept_elsewhere(desk: Desk) -> None:
    """The statement is carried to the machine that has the key, and back."""
    desk.does("trust", "begin", "--key", "root.pem", "--to", "begin.json")
    told = desk.fails(3, "trust", "submit", "begin.json")
    assert "is not signed by the new root key itself" in told
    signed = desk.does("trust", "sign", "begin.json", "--sign", "root.key")
    assert signed["kind"] == "root"
    assert signed["signed_by"] == [desk.does("key", "show", "root.key")["key"]]
    assert desk.does("trust", "submit", "begin.json")["kind"] == "root"
    desk.does("member", "admit", RINGELAI, "--key", "city.pem", *OFFICES, "--to", "admit.json")
    tampered = (desk.folder / "admit.json").read_text(encoding="utf-8")
    desk.does("trust", "sign", "admit.json", "--sign", "root.key")
    signatures = json.loads((desk.folder / "admit.json").read_text())["signatures"]
    other = json.loads(tampered.replace("Ringelai", "Ringelei")) | {"signatures": signatures}
    (desk.folder / "tampered.json").write_text(json.dumps(other), encoding="utf-8")
    assert "not signed by the root's key" in desk.fails(3, "trust", "submit", "tampered.json")
    desk.does("trust", "submit", "admit.json")
    assert "was said before" in desk.fails(3, "trust", "submit", "admit.json")


def test_a_passphrase_from_a_file_or_a_person(standing: Desk) -> None:
    (standing.folder / "words").write_text("open sesame\n", encoding="utf-8")
    made = standing.does("key", "new", "safe.key", "--passphrase-file", "words")
    assert (
        standing.does("key", "show", "safe.key", "--passphrase-file", "words")["key"] == made["key"]
    )
    shown = standing.does("key", "show", "safe.key", given="open sesame\n")
    assert shown["key"] == made["key"]
    (standing.folder / "words").write_text("guess\n", encoding="utf-8")
    assert "passphrase is wrong" in standing.fails(
        2, "key", "show", "safe.key", "--passphrase-file", "words"
    )


def test_a_reform_gives_a_new_code(town: Desk) -> None:
    change = ("member", "change", RINGELAI, "--ars-from", "2027-01-01", "--sign", "root.key")
    assert "--new-code" in town.fails(6, *change, "--ars", "092720199199")
    town.does(*change, "--ars", "092720199199", "--new-code")
    codes = town.does("member", "show", RINGELAI)["ars"]
    assert list(codes.values()) == ["092720140140", "092720199199"]


def test_finding_a_municipality(standing: Desk) -> None:
    first, *_ = standing.does("member", "find", "ringelai")["municipalities"]
    assert (first["member"], first["state"]) == (RINGELAI, "Bayern")
    assert len(standing.does("member", "find", "09272", "--limit", "5")["municipalities"]) == 5
    assert "fewer words" in standing.fails(6, "member", "find", "atlantis")


@pytest.mark.parametrize(
    ("code", "words", "arguments"),
    [
        (2, "nobody signs this", ["member", "suspend", RINGELAI]),
        (2, "nobody signs this", ["trust", "sign", "x.json"]),
        (3, "there is a root already", ["trust", "begin", "--key", "root.pem", "--sign",
                                        "root.key"]),
        (3, "a key of", ["system", "retire", MELDEWESEN, "--sign", "next.key"]),
        (3, "the root's key", ["member", "suspend", RINGELAI, "--sign", "city.key"]),
        (3, "never given again", ["member", "admit", RINGELAI, "--key", "next.pem", *OFFICES,
                                  "--sign", "root.key"]),
        (3, "never used twice", ["member", "admit", GRAFENAU, "--key", "city.pem", *OFFICES,
                                 "--sign", "root.key"]),
        (6, "no municipality has", ["member", "admit", "de.mun.092720140141", "--key", "next.pem",
                                    *OFFICES, "--sign", "root.key"]),
        (2, "no member's id", ["member", "admit", "de.town.x", "--key", "next.pem", *OFFICES,
                               "--sign", "root.key"]),
        (2, "gives to nobody", ["member", "admit", GRAFENAU, "--key", "next.key", *OFFICES,
                                "--sign", "root.key"]),
        (3, "is over", ["system", "attest", f"{RINGELAI}.x", "--key", "next.pem", "--from",
                        "2020-01-01T00:00:00Z", "--days", "30", "--sign", "city.key"]),
        (2, "is no day", ["member", "change", RINGELAI, "--ars", "none", "--ars-from", "soon",
                          "--sign", "root.key"]),
        (2, "changes nothing", ["member", "change", RINGELAI, "--sign", "root.key"]),
        (2, "cannot be read", ["trust", "submit", "nothing.json"]),
        (3, "never overwritten", ["key", "new", "root.key"]),
        (6, "no such member", ["member", "show", GRAFENAU]),
        (3, "the root should be", ["trust", "check", "--root", "0" * 32]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_sentence(
    standing: Desk, code: int, words: str, arguments: list[str]
) -> None:
    assert words in standing.fails(code, *arguments)


def test_a_key_that_others_can_read_signs_nothing(town: Desk) -> None:
    (town.folder / "root.key").chmod(0o644)
    told = town.fails(2, "member", "suspend", RINGELAI, "--sign", "root.key")
    assert "chmod 600 root.key" in told
