"""The catalogue of contracts, and what changed between versions."""

import copy
from pathlib import Path
from typing import Any

import pytest

from bus.contracts import Contract, load_folder
from bus.errors import BusUnavailable
from bus.kafka import Fetched
from bus.portal import words
from bus.portal.catalogue import Known
from bus.portal.changes import Change, Kind, changes, fields
from bus.portal.language import languages
from bus.portal.listing import Choice
from bus.portal.masking import MASK
from bus.portal.pages import contract as page
from bus.portal.pages import contracts as catalogue
from bus.portal.picture import Picture
from bus.portal.publishers import sampled
from tests.portal.agreed import moved
from tests.portal.city import ADDRESSES, READINGS, subscription, survey, topic


def record(*inner: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": "R", "doc": "r", "fields": list(inner)}


def field(name: str, type_: Any = "string", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, "doc": f"the {name}", **more}


def enum(*symbols: str) -> dict[str, Any]:
    return {"type": "enum", "name": "E", "doc": "e", "symbols": list(symbols)}


A, B = field("a"), field("b", ["null", "string"], default=None)
INNER = field("inner", record(A))


def change(kind: Kind, path: str, old: str | None = None, new: str | None = None) -> Change:
    return Change(kind=kind, path=path, old=old, new=new)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        pytest.param(record(A), record(A), [], id="nothing"),
        pytest.param(
            record(A), record(A, B), [change(Kind.ADDED, "b", "null", "null | string")], id="added"
        ),
        pytest.param(
            record(A, B), record(A), [change(Kind.REMOVED, "b", "null | string")], id="removed"
        ),
        pytest.param(
            record(field("a", "int")),
            record(field("a", "long")),
            [change(Kind.RETYPED, "a", "int", "long")],
            id="widened",
        ),
        pytest.param(
            record(field("e", enum("X"))),
            record(field("e", enum("X", "Y", "Z"))),
            [change(Kind.GAINED, "e", None, "Y, Z")],
            id="symbols",
        ),
        pytest.param(
            record(field("e", ["null", enum("X", "Y")])),
            record(field("e", ["null", enum("X")])),
            [change(Kind.LOST, "e", "Y")],
            id="symbols of a union's branch",
        ),
        pytest.param(
            record(field("a", default="x")),
            record(field("a", default="y")),
            [change(Kind.DEFAULT, "a", '"x"', '"y"')],
            id="default",
        ),
        pytest.param(
            record(A), record({**A, "doc": "new"}), [change(Kind.DOCUMENTED, "a")], id="words"
        ),
        pytest.param(
            record(field("list", {"type": "array", "items": record(A)})),
            record(field("list", {"type": "array", "items": record(A, B)})),
            [change(Kind.ADDED, "list[].b", "null", "null | string")],
            id="in an array",
        ),
        pytest.param(
            record(A),
            record(A, INNER),
            [change(Kind.ADDED, "inner", None, "record R")],
            id="a record, and not each field of it",
        ),
        pytest.param(
            record(A, INNER),
            record(A),
            [change(Kind.REMOVED, "inner", "record R")],
            id="a record that went",
        ),
    ],
)
def test_what_changed(old: Any, new: Any, found: list[Change]) -> None:
    assert changes(old, new) == found


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("code", ["de", "en"])
def test_each_change_is_a_sentence(kind: Kind, code: str) -> None:
    for old in (None, "int"):
        sentence = words.change_sentence(change(kind, "a.b", old, "long\x1b"), languages()[code])
        assert "a.b" in sentence
        assert "%" not in sentence
        assert "\x1b" not in sentence
        assert sentence.endswith(".")


def test_sentences() -> None:
    added = change(Kind.ADDED, "unit", "null", "null | string")
    assert words.change_sentence(added, languages()["en"]) == (
        "unit was added: null | string. In events without it, null is read."
    )
    assert words.change_sentence(added, languages()["de"]) == (
        "unit kam hinzu: null | string. In Ereignissen ohne dieses Feld wird null gelesen."
    )


def test_all_fields_have_a_path_and_a_meaning() -> None:
    schema = record(A, INNER, field("map", {"type": "map", "values": record(B)}))
    assert [(one.path, one.type) for one in fields(schema)] == [
        ("a", "string"),
        ("inner", "record R"),
        ("inner.a", "string"),
        ("map", "map of record R"),
        ("map{}.b", "null | string"),
    ]
    assert all(one.doc for one in fields(schema))


def known(*contracts: Contract) -> Known:
    return Known(contracts={one.topic: one.to_json() for one in contracts})


def seen() -> Picture:
    topics = [topic(READINGS), topic(ADDRESSES), topic("_schemas")]
    return Picture(survey=survey(topics, [subscription(), subscription("other")]))


@pytest.fixture(scope="module")
def shipped() -> Known:
    root = Path(__file__).parents[2] / "schemas"
    return known(*(load_folder(f.parent) for f in sorted(root.rglob("contract.yaml"))), moved())


@pytest.mark.parametrize(
    ("kept", "german", "english"),
    [
        ("P30D", "30 Tage", "30 days"),
        ("PT15M", "15 Minuten", "15 minutes"),
        ("PT24H", "1 Tag", "1 day"),
        ("PT90M", "1 Stunde 30 Minuten", "1 hour 30 minutes"),
        ("PT25H30M", "PT25H30M", "PT25H30M"),
        ("P1DT1S", "P1DT1S", "P1DT1S"),
        ("last-state", "der letzte Stand jedes Schlüssels, auf Dauer",
         "the last state of each key, for good"),
    ],
)  # fmt: skip
def test_how_long_events_are_kept_is_said_in_words(kept: str, german: str, english: str) -> None:
    said = [words.lasting(kept, languages()[code]) for code in ("de", "en")]
    assert said == [german, english]


@pytest.mark.parametrize(
    ("find", "wanted", "topics"),
    [
        pytest.param("", {}, 5, id="all"),
        pytest.param("MESSWERT", {}, 1, id="title"),
        pytest.param("sensor", {"domain": "sensor"}, 1, id="domain"),
        pytest.param("", {"access": "restricted"}, 2, id="access"),
        pytest.param("", {"owner": "de.mun.110000000000"}, 2, id="owner"),
        pytest.param("", {"level": "FULL_TRANSITIVE"}, 5, id="level"),
        pytest.param("", {"access": "restricted", "domain": "sensor"}, 0, id="both"),
        pytest.param("", {"owner": "<script>"}, 0, id="nonsense"),
    ],
)
def test_the_catalogue_is_searched_and_filtered(
    shipped: Known, find: str, wanted: dict[str, str], topics: int
) -> None:
    shown = catalogue.view(shipped, seen(), Choice(sort="topic", find=find), wanted)
    assert shown.listing.total == topics
    assert all(f"{name}=" in shown.listing.choice.query(page=2) for name in wanted)


def test_readers_are_those_with_positions(shipped: Known) -> None:
    rows = {row.topic: row for row in catalogue.view(shipped, seen()).listing.rows}
    assert rows[READINGS].readers == 2
    assert rows[ADDRESSES].readers == 0
    shown = page.view(READINGS, shipped, seen(), None)
    assert [one.group for one in shown.readers or ()] == ["count_report", "other"]


def test_without_the_registry_topics_are_shown_and_their_contracts_are_not_known() -> None:
    away = BusUnavailable("away")
    shown = catalogue.view(Known(trouble=away), seen())
    assert not shown.known
    assert [(row.topic, row.owner, row.versions) for row in shown.listing.rows] == [
        (ADDRESSES, None, None),
        (READINGS, None, None),
    ]
    assert page.view(READINGS, Known(trouble=away), seen(), None).trouble is away


def test_examples_are_masked(shipped: Known) -> None:
    [(_, example)] = page.view("people.moved.v1", shipped, None, None).examples
    assert MASK in example
    assert "Ada" not in example


def test_versions_say_what_changed_the_newest_first(shipped: Known) -> None:
    versions = page.view(READINGS, shipped, None, None).versions
    assert [one.number for one in versions] == [2, 1]
    assert [one.path for one in versions[0].changes] == ["quality_flag"]


def test_a_contract_of_another_time_is_said_to_be_so() -> None:
    odd = Known(contracts={READINGS: {"versions": [{}], "title": {}}})
    assert "missing" in str(page.view(READINGS, odd, None, None).trouble)
    assert len(catalogue.view(odd, None).listing.rows) == 1


def fetched(offset: int, source: bytes | None, at: int = 0) -> Fetched:
    headers = [] if source is None else [("ce_source", source)]
    return Fetched(READINGS, 0, offset, at, b"k", b"v", headers)


def test_publishers_are_those_that_events_name() -> None:
    sample = sampled(
        [
            fetched(0, b"urn:stadtbus:de.x.a", 1000),
            fetched(1, b"urn:stadtbus:de.x.b", 2000),
            fetched(2, b"urn:stadtbus:de.x.a", 3000),
            fetched(3, None, 4000),
            fetched(4, b"\xff<b>", 5000),
        ]
    )
    assert sample.events == 5
    assert sample.since == 1.0
    assert sample.unnamed == 1
    assert [(one.source, one.events, one.rate) for one in sample.publishers] == [
        ("de.x.a", 2, 0.5),
        ("\\xff<b>", 1, 0.25),
        ("de.x.b", 1, 0.25),
    ]
    assert sampled([]).publishers == []
    assert sampled([fetched(0, b"a")]).publishers[0].rate is None


def test_a_thousand_contracts_are_shown_a_page_at_a_time(shipped: Known) -> None:
    one = copy.deepcopy(dict((shipped.contracts or {})[READINGS]))
    many = Known(contracts={f"town-{number:03}.event.v1": one for number in range(1000)})
    shown = catalogue.view(many, seen(), Choice(sort="versions", down=True, page=20))
    assert shown.listing.pages == 20
    assert len(shown.listing.rows) == 50
