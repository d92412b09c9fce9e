"""Long lists in parts."""

from typing import Any
from urllib.parse import parse_qsl

import pytest

from bus.portal.listing import ROWS, Choice, chosen, listed

COLUMNS = ("name", "rate")
USUAL = Choice(sort="name")
KEYS: dict[str, Any] = {"name": lambda row: row[0], "rate": lambda row: row[1]}

Row = tuple[str, float | None]


def rows(choice: Choice, *given: Row) -> list[str]:
    found = listed(given, choice, name=lambda row: row[0], keys=KEYS)
    return [name for name, _ in found.rows]


@pytest.mark.parametrize(
    ("query", "choice"),
    [
        pytest.param({}, USUAL, id="nothing"),
        pytest.param(
            {"sort": "rate", "down": "1", "find": " Bad ", "page": "3", "all": "1"},
            Choice(sort="rate", down=True, find="Bad", page=3, everything=True),
            id="all of it",
        ),
        pytest.param({"sort": "__class__", "down": "1"}, USUAL, id="no column"),
        pytest.param({"page": "-1"}, USUAL, id="negative page"),
        pytest.param({"page": "0"}, USUAL, id="page zero"),
        pytest.param({"page": "²"}, USUAL, id="no number"),
        pytest.param({"page": "9" * 5000}, USUAL, id="too large a number"),
        pytest.param({"find": "x" * 5000}, Choice(sort="name", find="x" * 200), id="long search"),
    ],
)
def test_a_query_is_understood(query: dict[str, str], choice: Choice) -> None:
    assert chosen(query, COLUMNS, USUAL) == choice


@pytest.mark.parametrize(
    ("choice", "order"),
    [
        pytest.param(Choice(sort="name"), ["a", "b", "c"], id="by name"),
        pytest.param(Choice(sort="name", down=True), ["c", "b", "a"], id="by name, down"),
        pytest.param(Choice(sort="rate"), ["c", "a", "b"], id="unknown comes last"),
        pytest.param(
            Choice(sort="rate", down=True), ["a", "c", "b"], id="unknown comes last, down"
        ),
        pytest.param(Choice(sort="name", find="B"), ["b"], id="case does not count"),
        pytest.param(Choice(sort="name", find="z"), [], id="nothing found"),
    ],
)
def test_rows_are_sorted_and_found(choice: Choice, order: list[str]) -> None:
    assert rows(choice, ("b", None), ("a", 2.0), ("c", 1.0)) == order


def test_pages_follow_each_other_without_a_gap() -> None:
    given = [(f"{number:04}", 0.0) for number in range(2 * ROWS + 1)]
    parts = [rows(Choice(sort="name", page=page), *given) for page in (1, 2, 3)]
    assert [len(part) for part in parts] == [ROWS, ROWS, 1]
    assert [name for part in parts for name in part] == [name for name, _ in given]


def test_a_page_behind_the_last_is_the_last() -> None:
    found = listed([("a", 1.0)], Choice(sort="name", page=9), name=lambda row: row[0], keys=KEYS)
    assert (found.choice.page, found.pages, found.first, found.last) == (1, 1, 1, 1)


def test_an_empty_list_has_one_page() -> None:
    none: list[str] = []
    found = listed(none, USUAL, name=str, keys={"name": str})
    assert (found.pages, found.total, found.first, found.last) == (1, 0, 0, 0)


def test_a_link_keeps_what_was_chosen_beside() -> None:
    choice = Choice(sort="rate", down=True, find="a&b", page=4, everything=True)
    assert chosen(_parsed(choice.query()), COLUMNS, USUAL) == choice
    assert _parsed(choice.by("rate", down=True)) == {
        "sort": "rate", "down": "0", "find": "a&b", "all": "1",
    }  # fmt: skip
    assert _parsed(choice.by("name", down=False))["down"] == "0"


def _parsed(query: str) -> dict[str, str]:
    return dict(parse_qsl(query))
