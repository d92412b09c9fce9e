"""Events taken from a bus and checked where there is none: the files, the answers, exit codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from bus.cli.options import Format
from bus.cli.verify import verify
from bus.contracts import load_all
from bus.errors import BusError, InvalidInput, InvalidKey, InvalidSchema
from bus.event import frame
from bus.kafka import Fetched
from bus.trust import keys
from bus.trust.exported import Exported, read, write
from ops.node import NodeProcess
from tests.cli.conftest import Done, Stadtbus, lines, user_of
from tests.trust.events import SIGNER, TOPIC, Written, giving, on_a_feed, whole
from tests.trust.samples import DATA, PARTS, PROJECTION, event, tombstone

RESIDENTS = "resident.address-changed.v1"
SYSTEM = "de.mun.092720140140.meldewesen"
FEED = f"feed.de.agency.statistik.{TOPIC}"


def exported(record: Written, topic: str = TOPIC, offset: int = 0) -> dict[str, Any]:
    value = None if record.data is None else frame(9, record.data)
    schema = None if record.data is None else PROJECTION.text
    fetched = Fetched(topic, 0, offset, 1_782_864_000_123, record.key, value, record.headers)
    return write(Exported(fetched, schema))


def a_part() -> Written:
    return on_a_feed(giving(whole(event(), PROJECTION), PROJECTION, PARTS["some fields"]))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has the city's public key and nothing else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "city.pem").write_bytes(keys.public_pem(SIGNER.public))
    return tmp_path


def saved(folder: Path, *records: Any) -> Path:
    file = folder / "events.jsonl"
    texts = [each if isinstance(each, str) else json.dumps(each) for each in records]
    file.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def offline(folder: Path, node: NodeProcess) -> Callable[..., Done]:
    """Run a command on that machine; the bus that its settings name is not there."""
    return user_of(_Nowhere(node), folder)  # type: ignore[arg-type]


class _Nowhere:
    def __init__(self, node: NodeProcess) -> None:
        self.environment = {
            **node.environment,
            "STADTBUS_KAFKA__BOOTSTRAP": "127.0.0.1:1",
            "STADTBUS_REGISTRY__URL": "http://127.0.0.1:1",
        }


def test_a_file_has_all_of_a_record() -> None:
    for record in (event(), tombstone(), a_part()):
        value = exported(record)
        assert write(read(json.dumps(value))) == value
        assert value["timestamp"] == "2026-07-01T00:00:00.123Z"


def test_it_names_what_was_given_and_what_was_withheld(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = (exported(event()), exported(tombstone()), exported(a_part(), FEED))
    verify(saved(folder, *records), [folder / "keys"], output=Format.json)
    first, second, third = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["verified"]
    assert first["withheld"] == []
    assert first["data"] == DATA
    assert first["key_file"] == "city.pem"
    assert second["given"] == ["@key", "@subject", "@municipality"]
    assert second["data"] is None
    assert third["place"] == f"{FEED}-0 at 0"
    assert third["given"] == list(PARTS["some fields"])
    assert third["withheld"] == [
        "@key",
        "@subject",
        *(n for n in PROJECTION.names if n not in third["given"]),
    ]
    assert third["data"] == {name: DATA[name] for name in PARTS["some fields"]}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"topic": "resident.other.v1"}, "other-topic", id="on another topic"),
        pytest.param({"key": "YTox"}, "altered", id="under another key"),
        pytest.param({"headers": []}, "unsigned", id="unsigned"),
        pytest.param({"value": "AAAAAAc="}, "bad-data", id="without data"),
        pytest.param({"value": "AA=="}, "bad-frame", id="without a frame"),
    ],
)
def test_one_that_does_not_verify_is_named_with_its_reason(
    folder: Path, offline: Stadtbus, change: dict[str, Any], reason: str
) -> None:
    file = saved(folder, exported(event()), exported(event(), offset=7) | change)
    done = offline("verify", file, "--key", "keys", "-o", "json")
    assert done.returncode == 3, done.stderr
    right, wrong = lines(done)
    assert right["verified"]
    assert (wrong["verified"], wrong["reason"]) == (False, reason)
    assert f"{file}:2" in done.stderr
    assert "1 verified, 1 not" in done.stderr


def test_a_key_that_was_not_given_proves_nothing(folder: Path, offline: Stadtbus) -> None:
    other = keys.make(folder / "other.key")
    file = saved(folder, exported(event()))
    done = offline("verify", file, "--key", "other.pem")
    assert done.returncode == 3
    assert "wrong-key" in done.stdout
    assert SIGNER.key_id in done.stderr
    assert other.key_id not in done.stderr


def test_what_strangers_wrote_is_text_on_the_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = exported(event())
    record["headers"].append(["\x1b[31m", ""])
    with pytest.raises(typer.Exit):
        verify(saved(folder, record), [folder / "keys"])
    said = capsys.readouterr()
    assert "uncovered-header" in said.out
    assert "\x1b" not in said.out + said.err


def without(record: dict[str, Any], name: str) -> dict[str, Any]:
    return {each: value for each, value in record.items() if each != name}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param("{", "is no JSON", id="no JSON"),
        pytest.param("[" * 100_000, "is no JSON", id="nested without end"),
        pytest.param("[]", "no record of version 1", id="a list"),
        pytest.param(exported(event()) | {"v": 2}, "no record of version 1", id="of version 2"),
        pytest.param(without(exported(event()), "headers"), "version 1", id="without headers"),
        pytest.param(exported(event()) | {"offset": "7"}, "no number", id="an offset in text"),
        pytest.param(exported(event()) | {"topic": 7}, "topic is no text", id="a topic that is 7"),
        pytest.param(exported(event()) | {"key": "%"}, "no base64", id="no base64"),
        pytest.param(exported(event()) | {"headers": [["a"]]}, "pairs", id="half a header"),
        pytest.param(exported(event()) | {"headers": [["a", 7]]}, "no base64", id="no bytes"),
        pytest.param(exported(event()) | {"schema": {}}, "neither text", id="a schema that is {}"),
    ],
)
def test_a_line_that_is_no_record(folder: Path, line: Any, said: str) -> None:
    file = saved(folder, line)
    with pytest.raises(InvalidInput, match=said) as caught:
        verify(file, [folder / "keys"])
    assert caught.value.where == f"{file}:1"


@pytest.mark.parametrize(
    ("records", "key", "schema", "error", "said"),
    [
        pytest.param([], "keys", None, InvalidInput, "holds no record", id="an empty file"),
        pytest.param([event()], ".", None, InvalidInput, "no public key", id="no key"),
        pytest.param([event()], "none.pem", None, InvalidKey, "none.pem", id="no such key"),
        pytest.param([event()], "keys", "none.avsc", InvalidInput, "none.avsc", id="no schema"),
    ],
)
def test_files_that_cannot_be_used(
    folder: Path,
    records: list[Written],
    key: str,
    schema: str | None,
    error: type[BusError],
    said: str,
) -> None:
    file = saved(folder, *(exported(record) for record in records))
    with pytest.raises(error) as caught:
        verify(file, [folder / key], schema=None if schema is None else folder / schema)
    assert said in str(caught.value)


def test_a_schema_may_come_from_elsewhere(folder: Path) -> None:
    file = saved(folder, exported(event()) | {"schema": None})
    with pytest.raises(InvalidSchema, match="--schema"):
        verify(file, [folder / "keys"])
    (folder / "1.avsc").write_text(PROJECTION.text, encoding="utf-8")
    verify(file, [folder / "keys"], schema=folder / "1.avsc")


@pytest.mark.slow
def test_from_the_bus_to_a_machine_that_has_only_the_public_key(
    stadtbus: Stadtbus, offline: Stadtbus, folder: Path
) -> None:
    """Published and exported there; carried over as a file; checked here."""
    made = keys.make(folder / "meldewesen.key")
    contract = next(each for each in load_all() if each.topic == RESIDENTS)
    given = "".join(json.dumps(each) + "\n" for each in contract.examples.values())
    unsigned = stadtbus("publish", RESIDENTS, "--system", SYSTEM, given=given)
    assert unsigned.returncode == 2
    assert "publisher.signing_key" in unsigned.stderr
    checked = stadtbus("publish", RESIDENTS, "--dry-run", given=given)
    assert checked.returncode == 0, checked.stderr
    (folder / "stadtbus.toml").write_text(
        '[publisher]\nsigning_key = "meldewesen.key"\n', encoding="utf-8"
    )
    done = stadtbus("publish", RESIDENTS, "--system", SYSTEM, given=given, cwd=folder)
    assert done.returncode == 0, done.stderr
    taken = stadtbus("topic", "export", RESIDENTS)
    assert taken.returncode == 0, taken.stderr
    file = folder / "taken.jsonl"
    file.write_text(taken.stdout, encoding="utf-8")
    (folder / "keys" / "meldewesen.pem").write_bytes(keys.public_pem(made.public))
    seen = offline("verify", file, "--key", "keys", "-o", "json")
    assert seen.returncode == 0, seen.stderr
    assert len(lines(seen)) == len(contract.examples)
    assert {each["key_file"] for each in lines(seen)} == {"meldewesen.pem"}
    causes = sorted(str(example["cause"]) for example in contract.examples.values())
    assert sorted(each["data"]["cause"] for each in lines(seen)) == causes
