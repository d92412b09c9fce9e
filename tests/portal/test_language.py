"""What pages say, in which language."""

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from pydantic import BaseModel

from bus.portal.language import SOURCE, choose, iso, languages
from bus.settings import Settings, names

PORTAL = Path(__file__).parents[2] / "bus" / "portal"
OTHERS = [code for code in languages() if code != SOURCE]


def spoken() -> Catalog:
    """Return every text that code and templates have."""
    catalogue = Catalog()
    methods = [("**.py", "python"), ("templates/**.html", "jinja2")]
    keywords = {"_": None, "gettext": None, "ngettext": (1, 2)}
    for _, _, message, _, _ in extract_from_dir(PORTAL, methods, keywords=keywords):
        catalogue.add(message)
    for path in names():
        catalogue.add(described(path))
    return catalogue


def described(path: str) -> str:
    """Return what a setting is for, as the node's page says it."""
    section: type[BaseModel] = Settings
    *sections, name = path.split(".")
    for one in sections:
        inner = section.model_fields[one].annotation
        assert isinstance(inner, type)
        assert issubclass(inner, BaseModel)
        section = inner
    told = section.model_fields[name].description
    assert told is not None
    return told


def written(code: str) -> Catalog:
    with (PORTAL / "locale" / f"{code}.po").open("rb") as file:
        return read_po(file, locale=code)


def identifiers(catalogue: Catalog) -> set[object]:
    return {message.id for message in catalogue if message.id}


def test_there_is_something_to_say() -> None:
    assert len(identifiers(spoken())) > 100
    assert OTHERS == ["de"]


@pytest.mark.parametrize("code", OTHERS)
def test_no_text_is_missing_and_none_is_unused(code: str) -> None:
    assert identifiers(written(code)) == identifiers(spoken())


@pytest.mark.parametrize("code", OTHERS)
def test_each_text_is_translated_and_none_is_a_guess(code: str) -> None:
    catalogue = written(code)
    for message in catalogue:
        if not message.id:
            continue
        assert not message.fuzzy, message.id
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        assert len(texts) == (catalogue.num_plurals if message.pluralizable else 1), message.id
        assert all(texts), message.id
    assert not catalogue.obsolete


def _places(text: object) -> frozenset[str]:
    return frozenset(re.findall(r"%\((\w+)\)s", str(text)))


@pytest.mark.parametrize("code", OTHERS)
def test_each_text_has_the_values_of_the_english(code: str) -> None:
    for message in written(code):
        original = message.id[0] if isinstance(message.id, tuple) else message.id
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        if original:
            assert {_places(text) for text in texts} == {_places(original)}


@pytest.mark.parametrize(
    ("wanted", "kept", "accepted", "code"),
    [
        pytest.param(None, None, "", "de", id="asked for nothing"),
        pytest.param(None, None, "en-GB,en;q=0.9,de;q=0.8", "en", id="browser"),
        pytest.param(None, None, "fr, de;q=0.5, en;q=0.7", "en", id="second best"),
        pytest.param(None, None, "en;q=0, de;q=0.1", "de", id="not that one"),
        pytest.param(None, None, "fr", "de", id="none that there is"),
        pytest.param(None, "en", "de", "en", id="kept"),
        pytest.param("de", "en", "en", "de", id="wanted"),
        pytest.param("../../etc", "<script>", "q=;;;,,*", "de", id="nonsense"),
    ],
)
def test_the_reader_chooses(wanted: str | None, kept: str | None, accepted: str, code: str) -> None:
    assert choose(wanted, kept, accepted).code == code


@pytest.mark.parametrize(
    ("value", "german", "english"),
    [
        pytest.param(0, "0", "0", id="zero"),
        pytest.param(0.034, "0,03", "0.03", id="little"),
        pytest.param(3.14, "3,1", "3.1", id="some"),
        pytest.param(26.0, "26", "26", id="whole"),
        pytest.param(1234.56, "1.235", "1,235", id="much"),
    ],
)
def test_numbers(value: float, german: str, english: str) -> None:
    assert languages()["de"].number(value) == german
    assert languages()["en"].number(value) == english


@pytest.mark.parametrize(
    ("seconds", "german", "english"),
    [
        (0.0, "0 Sek.", "0 sec"),
        (1.44, "1,4 Sek.", "1.4 sec"),
        (47.2, "47 Sek.", "47 sec"),
        (59.7, "1 Min.", "1 min"),
        (75.0, "1 Min. 15 Sek.", "1 min 15 sec"),
        (90.0, "1 Min. 30 Sek.", "1 min 30 sec"),
        (599.8, "10 Min.", "10 min"),
        (629.0, "10 Min.", "10 min"),
        (3_599.9, "1 Std.", "1 hr"),
        (5_400.0, "1 Std. 30 Min.", "1 hr 30 min"),
        (35_990.0, "10 Std.", "10 hr"),
        (86_399.0, "24 Std.", "24 hr"),
        (129_600.0, "1 Tg. 12 Std.", "1 day 12 hr"),
        (7200.0, "2 Std.", "2 hr"),
        (604_800.0, "7 Tg.", "7 days"),
    ],
)
def test_spans(seconds: float, german: str, english: str) -> None:
    assert languages()["de"].span(seconds) == german
    assert languages()["en"].span(seconds) == english


def test_sizes() -> None:
    assert languages()["de"].bytes(9_412_331) == "9,4 MB"
    assert languages()["en"].bytes(512) == "512 byte"
    assert languages()["en"].bytes(3e15) == "3,000 TB"


def test_ages_and_plurals() -> None:
    german = languages()["de"]
    assert german.ago(3.2) == "vor 3 Sekunden"
    assert german.ago(-5.0) == "vor 1 Sekunde"
    texts = "%(number)s event", "%(number)s events"
    assert [german.ngettext(*texts, number) for number in (0, 1, 1.5, 2)] == [
        "0 Ereignisse", "1 Ereignis", "1,5 Ereignisse", "2 Ereignisse",
    ]  # fmt: skip


def test_a_time_for_machines_has_milliseconds_and_a_zone() -> None:
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.250[+-]\d\d:\d\d", iso(1.8e9 + 0.25))


@pytest.mark.parametrize("at", [-9.3e15, -6.3e10, 9.3e15])
def test_a_time_beyond_the_calendar_is_the_nearest_within_it(at: float) -> None:
    for say in languages().values():
        assert say.moment(at)
        assert say.ago(1.8e9 - at)
        assert iso(at)[:3] in {"000", "998"}
