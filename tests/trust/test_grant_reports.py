"""What flows under grants, why, and who would lose what: the commands on a node with events."""

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bus.contracts import load_all
from bus.trust.keys import make
from ops.node import NodeProcess
from tests.trust.desk import GRAFENAU, MELDEWESEN, OFFICES, RINGELAI, Desk

pytestmark = pytest.mark.slow

OFFICE, WATER = "de.agency.finanzamt", "de.util.stadtwerke"
TOPIC = "resident.address-changed.v1"
FIELDS = ("cause", "household", "pseudonym", "valid_from")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A town that announced two moves, a birth and a sealed person; an office may know of moves."""
    with NodeProcess(tmp_path_factory.mktemp("node"), "--roles", "broker,registry") as node:
        desk = Desk(tmp_path_factory.mktemp("desk"), node).with_a_town()
        for member, key in ((OFFICE, "office"), (WATER, "water")):
            make(desk.folder / f"{key}.key")
            named = ("--key", f"{key}.pem", "--name", key, *OFFICES, "--sign", "root.key")
            desk.does("member", "admit", member, *named)
        announced(desk)
        desk.does(*asking(), "--sign", "office.key")
        name = desk.does("grant", "ls")["grants"][0]["grant"]
        desk.does("grant", "approve", name, "--yes", "--sign", "city.key")
        yield desk


def asking(**changes: str) -> list[str]:
    """Return what asks for moves."""
    options = {
        "recipient": OFFICE,
        "owner": RINGELAI,
        "row": '{"field": "cause", "in": ["MOVE"]}',
        "purpose": "tax",
        "norm": "§ 34 Abs. 1 BMG",
        "basis": "Für die Grundsteuer.",
        "until": "2099-01-01T00:00:00Z",
        **changes,
    }
    given = [word for name, value in options.items() for word in (f"--{name}", value)]
    return ["grant", "ask", TOPIC, *given, *[w for one in FIELDS for w in ("--field", one)]]


def announced(desk: Desk) -> None:
    """Publish events, signed by the town's system."""
    (desk.folder / "stadtbus.toml").write_text('[publisher]\nsigning_key = "system.key"\n')
    contract = next(one for one in load_all() if one.topic == TOPIC)
    example = next(iter(contract.examples.values()))
    events = [
        {**example, "register": RINGELAI, "municipality": "092720140140", **changes}
        for changes in (
            {"pseudonym": "one", "cause": "MOVE", "sealed": False},
            {"pseudonym": "two", "cause": "BIRTH", "sealed": False},
            {"pseudonym": "three", "cause": "MOVE", "sealed": True},
            {"pseudonym": "four", "cause": "MOVE", "sealed": False},
        )
    ]
    lines = "".join(json.dumps(one) + "\n" for one in events)
    done = desk.run("publish", TOPIC, "--system", MELDEWESEN, given=lines)
    assert done.exit_code == 0, done.output


def exported(desk: Desk) -> dict[str, dict[str, Any]]:
    """Return the published records by their pseudonyms."""
    done = desk.run("topic", "export", TOPIC)
    assert done.exit_code == 0, done.output
    records = [json.loads(line) for line in done.stdout.splitlines()]
    subjects = [dict(one["headers"])["ce_subject"] for one in records]
    return dict(zip(map(unpacked, subjects), records, strict=True))


def unpacked(text: str) -> str:
    import base64

    return base64.b64decode(text).decode()


def place(record: dict[str, Any]) -> str:
    return f"{TOPIC}/{record['partition']}/{record['offset']}"


def test_who_decides_sees_what_would_flow(desk: Desk) -> None:
    name = desk.does("grant", "ls")["grants"][0]["grant"]
    samples = desk.does("grant", "show", name)["samples"]
    assert [set(one["gives"]) for one in samples] == [set(FIELDS)] * 2
    for one in samples:
        assert one["gives"]["cause"] == "MOVE"
        assert one["gives"]["pseudonym"] == "(a name of the recipient's own)"
    shown = desk.run("grant", "show", name).output
    assert "Of the newest events this would flow" in shown
    assert not any(word in shown for word in ('"one"', '"two"', '"three"', '"four"', "Address"))


@pytest.mark.parametrize(
    ("subject", "recipient", "gets", "words"),
    [
        ("one", OFFICE, True, "At least one grant applied."),
        ("two", OFFICE, False, "No grant applied."),
        ("three", OFFICE, False, "has sealed"),
        ("one", WATER, False, f"{WATER} has asked {RINGELAI} for nothing"),
    ],
)
@pytest.mark.parametrize("from_file", [False, True])
def test_why_a_member_got_an_event_or_did_not(
    desk: Desk, subject: str, recipient: str, gets: bool, words: str, from_file: bool
) -> None:
    record = exported(desk)[subject]
    event = place(record)
    if from_file:
        event = "event.jsonl"
        (desk.folder / event).write_text(json.dumps(record))
    done = desk.run("grant", "explain", recipient, event, "--at", "0s", "-o", "json")
    assert done.exit_code == (0 if gets else 3)
    said = json.loads(done.stdout)
    assert (said["gets"], said["owner"]) == (gets, RINGELAI)
    assert words in said["why"]
    if subject == "two":
        (finding,) = said["grants"]
        assert finding["why"] == 'It is not so that "cause" is "MOVE".'


def test_when_the_event_arrived_nothing_was_granted_yet(desk: Desk) -> None:
    event = place(exported(desk)["one"])
    done = desk.run("grant", "explain", OFFICE, event)
    assert done.exit_code == 3
    assert "asked" in done.output


def test_what_was_altered_counts_for_nobody(desk: Desk) -> None:
    record = exported(desk)["one"]
    record["headers"] = [[n, v] for n, v in record["headers"] if n != "stadtbus-signature"]
    (desk.folder / "altered.jsonl").write_text(json.dumps(record))
    done = desk.run("grant", "explain", OFFICE, "altered.jsonl", "--at", "0s")
    assert done.exit_code == 3
    assert "counts for nobody" in done.output


@pytest.mark.parametrize(
    ("code", "words", "arguments"),
    [
        (2, "neither a file nor a place", [OFFICE, "nothing"]),
        (6, "no event, or no longer", [OFFICE, f"{TOPIC}/0/999999"]),
        (6, "no event, or no longer", [OFFICE, f"{TOPIC}/99/0"]),
        (6, "does not exist", [OFFICE, "resident.gone.v1/0/0"]),
        (6, "no such member", ["de.agency.nobody", "{one}"]),
        (2, "is open", [OFFICE, "open.jsonl"]),
        (2, "has 2 events", [OFFICE, "two.jsonl"]),
        (2, "is no JSON", [OFFICE, "none.jsonl"]),
    ],
)
def test_what_cannot_be_explained_is_said(
    desk: Desk, code: int, words: str, arguments: list[str]
) -> None:
    record = exported(desk)["one"]
    line = json.dumps(record)
    (desk.folder / "two.jsonl").write_text(f"{line}\n{line}\n")
    (desk.folder / "none.jsonl").write_text("moved\n")
    (desk.folder / "open.jsonl").write_text(json.dumps({**record, "topic": "sensor.reading.v1"}))
    given = [one.format(one=place(record)) for one in arguments]
    assert words in desk.fails(code, "grant", "explain", *given, "--at", "0s")


def schema_without(name: str) -> str:
    contract = next(one for one in load_all() if one.topic == TOPIC)
    schema = dict(contract.versions[-1])
    schema["fields"] = [one for one in schema["fields"] if one["name"] != name]
    return json.dumps(schema)


def test_who_would_lose_what_is_said_before_it_is_so(desk: Desk) -> None:
    (desk.folder / "next.avsc").write_text(schema_without("valid_from"))
    done = desk.run("grant", "impact", "next.avsc", "--topic", TOPIC)
    assert done.exit_code == 3
    wanted = f'The field "valid_from" is dropped: {OFFICE} does not get it any more after that'
    assert done.stdout.startswith(wanted)
    (desk.folder / "other.avsc").write_text(schema_without("corrects"))
    nobody = desk.run("grant", "impact", "other.avsc", "--topic", TOPIC)
    assert (nobody.exit_code, nobody.stdout) == (0, "Nobody would lose anything.\n")
    ends = desk.run("grant", "impact", "--topic", TOPIC, "-o", "json")
    (loss,) = json.loads(ends.stdout)["losses"]
    assert (loss["recipient"], loss["everything"]) == (OFFICE, True)
    same = Path("schemas/resident/address-changed/v1").absolute()
    assert desk.does("grant", "impact", same) == {"v": 1, "losses": []}


@pytest.mark.parametrize(
    ("code", "words", "arguments"),
    [
        (2, "which contract", []),
        (2, "which contract", ["next.avsc"]),
        (6, "no contract", ["--topic", "resident.gone.v1"]),
        (2, "cannot be read", ["missing.avsc", "--topic", TOPIC]),
        (2, "broken.avsc", ["broken.avsc", "--topic", TOPIC]),
    ],
)
def test_what_is_no_change_is_said(desk: Desk, code: int, words: str, arguments: list[str]) -> None:
    (desk.folder / "broken.avsc").write_text('{"type": "rekord"}')
    assert words in desk.fails(code, "grant", "impact", *arguments)


def evolved(folder: Path) -> Path:
    """Return the shipped contract with a second version that drops a granted field."""
    shutil.copytree("schemas/resident/address-changed/v1", folder)
    (folder / "2.avsc").write_text(schema_without("household"))
    contract = folder / "contract.yaml"
    contract.write_text(contract.read_text().replace("  household: restricted\n", ""))
    for file in (folder / "examples").iterdir():
        example = json.loads(file.read_text())
        del example["household"]
        file.write_text(json.dumps(example))
    return folder


def test_checks_say_who_would_lose_what(desk: Desk, tmp_path: Path) -> None:
    folder = evolved(tmp_path / "resident" / "address-changed" / "v1")
    wanted = f'! The field "household" is dropped: {OFFICE} does not get it any more after that'
    checked = desk.run("contract", "check", folder, "--live")
    assert checked.exit_code == 0
    assert checked.stderr.startswith(wanted)
    assert desk.run("contract", "check", folder).stderr == ""
    asks = desk.run("schema", "check", f"{TOPIC}-value", folder / "2.avsc")
    assert asks.exit_code == 0
    assert asks.stderr.startswith(wanted)


def test_the_register_of_processing(desk: Desk) -> None:
    for member, side in ((RINGELAI, "owner"), (OFFICE, "recipient")):
        said = desk.does("grant", "register", member, "--as", side)
        (row,) = said["activities"]
        assert (row["controller"], row["recipient"]) == ("Ringelai", "office")
        assert row["purpose"] == "Steuern und Abgaben"
        assert row["categories"][0] == ["cause", "confidential"]
        table = desk.run("grant", "register", member, "--as", side, "--lang", "en")
        assert "taxes and dues" in table.output
        file = desk.run("grant", "register", member, "--as", side, "-o", "csv")
        (line,) = csv.DictReader(io.StringIO(file.stdout))
        assert (line["recipient_id"], line["norm"]) == (OFFICE, "§ 34 Abs. 1 BMG")
    assert desk.does("grant", "register", WATER)["activities"] == []
    assert "no such member" in desk.fails(6, "grant", "register", GRAFENAU)


def test_who_puts_a_contract_in_force_is_told_who_loses_what(desk: Desk, tmp_path: Path) -> None:
    """The last test, as it changes the contract for all others."""
    folder = evolved(tmp_path / "resident" / "address-changed" / "v1")
    applied = desk.run("contract", "apply", folder)
    assert applied.exit_code == 0, applied.output
    assert f"{OFFICE} does not get it any more after that" in applied.stderr
    assert desk.run("contract", "apply", folder).stderr == ""
