"""What a contract has to keep to; each error names the file and the place."""

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

from bus.avro.codec import Codec
from bus.avro.schema import parse
from bus.avro.text import from_json, to_json
from bus.contracts import Contract, duration, load_all, load_folder
from bus.errors import InvalidContract, InvalidEvent

SHIPPED = {contract.topic: contract for contract in load_all()}
ADDRESSES, READINGS = "address.building-changed.v1", "sensor.reading.v1"
LOADS, RESIDENTS = "mobility.traffic-load.v1", "resident.address-changed.v1"

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of a shipped contract, to be spoilt."""
    copy = tmp_path / "sensor" / "reading" / "v1"
    shutil.copytree(str(resources.files("schemas") / "sensor" / "reading" / "v1"), copy)
    return copy


def spoil(file: Path, change: Change) -> None:
    is_yaml = file.suffix == ".yaml"
    text = file.read_text(encoding="utf-8")
    value = yaml.safe_load(text) if is_yaml else json.loads(text)
    change(value)
    file.write_text(yaml.safe_dump(value) if is_yaml else json.dumps(value), encoding="utf-8")


def test_the_first_contracts_are_shipped() -> None:
    assert list(SHIPPED) == [ADDRESSES, LOADS, RESIDENTS, READINGS]
    assert [len(contract.versions) for contract in SHIPPED.values()] == [1, 1, 1, 2]
    restricted = [topic for topic, found in SHIPPED.items() if found.access == "restricted"]
    assert restricted == [RESIDENTS]
    assert all(len(contract.examples) >= 2 for contract in SHIPPED.values())


@pytest.mark.parametrize("contract", SHIPPED.values(), ids=SHIPPED.keys())
def test_a_contract_survives_json(contract: Contract) -> None:
    assert Contract.from_json(json.loads(json.dumps(contract.to_json()))) == contract


@pytest.mark.parametrize("contract", SHIPPED.values(), ids=SHIPPED.keys())
def test_examples_are_data(contract: Contract) -> None:
    schema, codec = parse(contract.versions[-1]), Codec(contract.versions[-1])
    for example in contract.examples.values():
        decoded = codec.decode(codec.encode(from_json(schema, example)))
        assert to_json(decoded) == to_json(decoded) | example


def test_topics_are_made_as_the_contract_says() -> None:
    last, timed = SHIPPED[ADDRESSES].topic_spec(), SHIPPED[READINGS].topic_spec()
    assert (last.name, last.partitions) == (ADDRESSES, 3)
    common = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": "1048588"}
    assert last.configs == common | {"cleanup.policy": "compact", "retention.ms": "-1"}
    assert timed.configs == common | {"cleanup.policy": "delete", "retention.ms": "2592000000"}


def test_keys_come_from_the_key_fields() -> None:
    assert SHIPPED[ADDRESSES].key_of({"address_id": "a:b"}) == "a%3Ab"
    for data in ({}, {"address_id": None}, {"address_id": ""}):
        with pytest.raises(InvalidEvent, match="part of the key"):
            SHIPPED[ADDRESSES].key_of(data)


@pytest.mark.parametrize(
    ("change", "place", "what"),
    [
        pytest.param(lambda c: c.pop("owner"), "owner", "is missing", id="no owner"),
        pytest.param(
            lambda c: c.update(owners="x"),
            "contract.yaml",
            'did you mean "owner"',
            id="unknown name",
        ),
        pytest.param(
            lambda c: c.update(owner="berlin"),
            "owner",
            "no member's id",
            id="no member",
        ),
        pytest.param(
            lambda c: c.update(topic="a.b.v1"), "contract.yaml", "from the folder", id="a topic"
        ),
        pytest.param(
            lambda c: c["title"].pop("de"), "title.de", "is missing", id="no German title"
        ),
        pytest.param(
            lambda c: c["title"].update(fr="x"), "title.fr", "neither de nor en", id="French"
        ),
        pytest.param(
            lambda c: c["title"].update(de="\ud800"), "title", "surrogate", id="half a character"
        ),
        pytest.param(
            lambda c: c.update(description="x"), "description", "by language", id="one text only"
        ),
        pytest.param(lambda c: c.update(access="opne"), "access", '"open"', id="access mistyped"),
        pytest.param(lambda c: c.update(key=[]), "key", "names no field", id="no key"),
        pytest.param(
            lambda c: c.update(key=["datastraem"]), "key", '"datastream"', id="key mistyped"
        ),
        pytest.param(lambda c: c.update(key=["result"]), "key", "always there", id="nullable key"),
        pytest.param(
            lambda c: c.update(key=["phenomenon_time"]), "key", "is not text", id="key by time"
        ),
        pytest.param(
            lambda c: c.update(key=["quality_flag"]), "key", "of version 1", id="key of version 2"
        ),
        pytest.param(
            lambda c: c.update(key=["datastream", "thing", "datastream"]),
            "key",
            '"datastream" is there twice',
            id="a key field twice",
        ),
        *(
            pytest.param(
                lambda c, number=number: c.update(partitions=number),
                "partitions",
                "not between 1 and 1000",
                id=f"{number} partitions",
            )
            for number in (-1, 0, 1001, 2**31)
        ),
        pytest.param(lambda c: c.update(partitions="3"), "partitions", "a number", id="as text"),
        pytest.param(
            lambda c: c.update(compatibility="FULL"),
            "compatibility",
            '"FULL" is not FULL_TRANSITIVE',
            id="a weaker promise",
        ),
        pytest.param(
            lambda c: c.update(municipality="ars"), "municipality", "no field", id="no municipality"
        ),
        *(
            pytest.param(
                lambda c, name=name: c.update(municipality=name),
                "municipality",
                "is not text that is always there",
                id=f"a municipality that is {kind}",
            )
            for name, kind in (
                ("result", "a number or null"),
                ("interval_seconds", "a number"),
                ("quality", "an enum"),
                ("quality_flag", "not always there"),
            )
        ),
        pytest.param(lambda c: c.update(subject="x"), "subject", "no field", id="no subject"),
        pytest.param(
            lambda c: c.update(subject="phenomenon_time"),
            "subject",
            "is not text or null",
            id="a time as subject",
        ),
        pytest.param(
            lambda c: c.update(subject="result"),
            "subject",
            "is not text or null",
            id="a number or null as subject",
        ),
        pytest.param(
            lambda c: (c.update(access="restricted"), c.pop("subject")),
            "subject",
            "known whom an event is about",
            id="restricted, and about nobody",
        ),
        pytest.param(
            lambda c: c.update(access="restricted", subject="quality_flag"),
            "subject",
            "is not text that is always there",
            id="restricted, and about somebody at times",
        ),
        pytest.param(
            lambda c: c.update(retention="30 days"), "retention", "P30D", id="no duration"
        ),
        pytest.param(lambda c: c.update(retention="P1M"), "retention", "P30D", id="a month"),
        pytest.param(
            lambda c: c.update(retention=f"P{'9' * 17}D"),
            "retention",
            "at most eight digits",
            id="longer than time can be",
        ),
        pytest.param(lambda c: c.update(retention="PT0S"), "retention", "no time", id="no time"),
        pytest.param(
            lambda c: c.update(expected_interval="x"),
            "expected_interval",
            "ISO 8601",
            id="interval",
        ),
        pytest.param(
            lambda c: c["sensitivity"].pop("thing"), "sensitivity.thing", "missing", id="unrated"
        ),
        pytest.param(
            lambda c: c["sensitivity"].update(thnig="public"),
            "sensitivity.thnig",
            '"thing"',
            id="a rating of nothing",
        ),
        pytest.param(
            lambda c: c["sensitivity"].update(thing="secret"),
            "sensitivity.thing",
            "not known",
            id="a rating that is none",
        ),
        pytest.param(
            lambda c: c["sensitivity"].update(thing="internal"),
            "sensitivity.thing",
            "public",
            id="something internal in open data",
        ),
    ],
)
def test_contract_yaml(folder: Path, change: Change, place: str, what: str) -> None:
    spoil(folder / "contract.yaml", change)
    with pytest.raises(InvalidContract) as caught:
        load_folder(folder)
    assert str(folder / "contract.yaml") in caught.value.where
    assert caught.value.where.endswith(place)
    assert what in str(caught.value)


def undocumented(schema: dict[str, Any]) -> None:
    del schema["fields"][0]["doc"]


def undocumented_enum(schema: dict[str, Any]) -> None:
    del schema["fields"][8]["type"]["doc"]


def nested(schema: dict[str, Any]) -> None:
    inner = {"type": "record", "name": "In", "doc": "d", "fields": [{"name": "x", "type": "int"}]}
    schema["fields"][7]["type"] = inner


def removed(schema: dict[str, Any]) -> None:
    schema["fields"] = [f for f in schema["fields"] if f["name"] != "unit"]


@pytest.mark.parametrize(
    ("file", "change", "what"),
    [
        pytest.param("1.avsc", undocumented, "thing: has no doc", id="a field without doc"),
        pytest.param("1.avsc", undocumented_enum, "quality: has no doc", id="an enum without doc"),
        pytest.param("1.avsc", nested, "unit.x: has no doc", id="a nested field without doc"),
        pytest.param("2.avsc", removed, "breaks FULL_TRANSITIVE", id="a field was removed"),
        pytest.param("2.avsc", lambda s: s.update(type="enum", symbols=["A"]), "record", id="enum"),
        pytest.param("2.avsc", lambda s: s.update(name="a b"), "no name", id="no Avro"),
        pytest.param(
            "examples/gap.json", lambda e: e.update(unti="1"), 'did you mean "unit"', id="example"
        ),
        pytest.param(
            "examples/gap.json", lambda e: e.update(datastream=""), "part of the key", id="its key"
        ),
    ],
)
def test_schemas_and_examples(folder: Path, file: str, change: Change, what: str) -> None:
    spoil(folder / file, change)
    with pytest.raises(InvalidContract) as caught:
        load_folder(folder)
    assert str(folder / file) in caught.value.where
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("spoilt", "what"),
    [
        pytest.param(lambda f: (f / "contract.yaml").unlink(), "is missing", id="no contract.yaml"),
        pytest.param(lambda f: (f / "1.avsc").unlink(), "1.avsc is missing", id="a gap"),
        pytest.param(
            lambda f: [v.unlink() for v in f.glob("*.avsc")], "no schema", id="no version"
        ),
        pytest.param(lambda f: shutil.rmtree(f / "examples"), "no example", id="no example"),
        pytest.param(lambda f: (f / "1.avsc").write_text("{"), "cannot be read", id="no JSON"),
        pytest.param(lambda f: (f / "contract.yaml").write_text("- a"), "no mapping", id="a list"),
        pytest.param(
            lambda f: (f / "contract.yaml").write_text("owner: a\nowner: b"), "twice", id="twice"
        ),
        pytest.param(
            lambda f: (f / "contract.yaml").write_text("a: !!python/name:os.system"),
            "cannot be read",
            id="code in YAML",
        ),
    ],
)
def test_files(folder: Path, spoilt: Callable[[Path], Any], what: str) -> None:
    spoilt(folder)
    with pytest.raises(InvalidContract, match=what):
        load_folder(folder)


@pytest.mark.parametrize("subject", ["thing", "quality_flag"])
def test_a_subject_is_text_and_may_be_null(folder: Path, subject: str) -> None:
    spoil(folder / "contract.yaml", lambda c: c.update(subject=subject))
    assert load_folder(folder).subject == subject


def test_a_contract_in_json_has_examples() -> None:
    value = SHIPPED[READINGS].to_json()
    del value["examples"]
    with pytest.raises(InvalidContract, match="examples: is missing"):
        Contract.from_json(value)


@pytest.mark.parametrize(
    "examples",
    [
        pytest.param({"\ud800": {}}, id="in a name"),
        pytest.param({"a": {"thing": "\ud800"}}, id="in a value"),
        pytest.param({"a": {"result": float("nan")}}, id="a number that JSON lacks"),
    ],
)
def test_examples_are_what_json_can_carry(examples: dict[str, Any]) -> None:
    value = SHIPPED[READINGS].to_json() | {"examples": examples}
    with pytest.raises(InvalidContract, match="examples: has half a surrogate pair"):
        Contract.from_json(value)


def test_a_folder_without_contracts_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InvalidContract):
            load_all(path)


def test_all_contracts_below_a_folder(folder: Path) -> None:
    assert [c.topic for c in load_all(folder.parents[2])] == [READINGS]


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("P30D", timedelta(days=30)),
        ("PT15M", timedelta(minutes=15)),
        ("P1DT2H3M4S", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        (
            "P99999999DT99999999H99999999M99999999S",
            timedelta(days=99999999, hours=99999999, minutes=99999999, seconds=99999999),
        ),
    ],
)
def test_durations(text: str, length: timedelta) -> None:
    assert duration(text) == length


@pytest.mark.parametrize(
    "text",
    [
        "",
        "P",
        "PT",
        "P1DT",
        "1D",
        "P1Y",
        "P1W",
        "P-1D",
        "P1.5D",
        "P\u0661D",
        "P100000000D",
        "PT100000000S",
    ],
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        duration(text)
