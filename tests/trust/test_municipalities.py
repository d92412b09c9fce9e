"""The directory of municipalities: all of them, found by name, checked by code."""

from importlib.resources import files

import pytest

from bus.errors import InvalidInput, NotFound
from bus.trust.municipalities import directory
from bus.trust.says import is_ars


def test_it_has_every_municipality() -> None:
    assert len(directory()) == 10_981
    assert all(is_ars(one.ars) and one.name and one.state for one in directory())


def test_it_is_small_and_names_its_source() -> None:
    data = files("bus.trust") / "data"
    assert len((data / "municipalities.csv").read_bytes()) < 1_000_000
    assert "Statistisches Bundesamt" in (data / "SOURCE.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("Ringelai", "092720140140"),
        ("ringelai", "092720140140"),
        ("092720140140", "092720140140"),
        ("Köln", "053150000000"),
        ("koln", "053150000000"),
        ("Münster, Stadt", "055150000000"),
        ("Perlesreut Freyung", "092725214138"),
        ("perlesreut", "092725214138"),
        ("Berlin", "110000000000"),
    ],
)
def test_one_is_found_by_name(words: str, first: str) -> None:
    found = directory().find(words)
    assert found[0].ars == first
    assert found[0].member == f"de.mun.{first}"


@pytest.mark.parametrize(("words", "count"), [("09272", 36), ("no such place", 0), ("99", 0)])
def test_how_many_are_found(words: str, count: int) -> None:
    assert len(directory().find(words)) == count


def test_a_code_is_checked() -> None:
    found = directory().require("092720140140")
    assert (found.name, found.district, found.state) == ("Ringelai", "Freyung-Grafenau", "Bayern")
    with pytest.raises(NotFound, match=r"member find NAME.*--new-code"):
        directory().require("092720140141")
    for text in ("", "9272140", "17272014014x", "\u0661" * 12):
        with pytest.raises(InvalidInput, match="12 digits"):
            directory().require(text)
