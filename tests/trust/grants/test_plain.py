"""A grant in plain words: the whole texts, in both languages."""

from typing import Any

import pytest

from bus.trust.grants.conditions import read_condition
from bus.trust.grants.plain import Language, plain, row_words
from bus.trust.grants.rows import said
from bus.trust.grants.terms import Terms
from tests.trust.grants.parties import AUTHORITY, OWNER, RECIPIENT, terms

NAMES = {OWNER: "Ringelai", RECIPIENT: "das Finanzamt", AUTHORITY: "Bayern"}

GERMAN = """\
das Finanzamt bekommt Daten von Ringelai.
Aus "Anschrift geändert" fließen diese Felder: cause und new_address.
Es fließen nur Ereignisse, bei denen "cause" gleich "MOVE" ist und "household" ab 2 liegt.
Der Zweck: Steuern und Abgaben.
Die Grundlage: § 34 Abs. 1 BMG (Für die Grundsteuer.).
Die Freigabe gilt ab 01.01.2026, 01:00 Uhr und endet am 01.07.2026, 02:00 Uhr."""

ENGLISH = """\
das Finanzamt gets data of all members whose official code begins with 09 (state); Bayern decides \
on it.
Of "resident.address-changed.v1" these fields flow: cause.
Every event flows.
The purpose: taxes and dues.
The basis: § 34 Abs. 1 BMG (Für die Grundsteuer.).
The grant holds from 2026-01-01, 01:00 and ends on 2027-01-01, 01:00."""


def test_a_grant_in_german() -> None:
    rows = [{"field": "cause", "is": "MOVE"}, {"field": "household", "from": 2}]
    read = Terms.from_json(terms(rows=rows, to="2026-07-01T00:00:00Z"))
    lines = plain(read, "de", name=NAMES.__getitem__, title="Anschrift geändert")
    assert "\n".join(lines) == GERMAN


def test_a_grant_in_english() -> None:
    whose = {"authority": AUTHORITY, "ars": "09"}
    read = Terms.from_json(terms(owner=whose, fields=["cause"]))
    assert "\n".join(plain(read, "en", name=NAMES.__getitem__)) == ENGLISH


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("ars", ["09", "092", "09272", "092720140", "092720140140"])
def test_every_level_of_an_official_code_has_its_word(language: Language, ars: str) -> None:
    first = plain(Terms.from_json(terms(owner={"authority": AUTHORITY, "ars": ars})), language)[0]
    assert f" {ars} " in first
    assert "{" not in first


@pytest.mark.parametrize(
    ("row", "german", "english"),
    [
        ({"is": True}, '"a.b" gleich wahr ist', '"a.b" is true'),
        ({"is": 3}, '"a.b" gleich 3 ist', '"a.b" is 3'),
        ({"in": ["x", "y", "z"]}, '"a.b" "x", "y" oder "z" ist', '"a.b" is "x", "y" or "z"'),
        ({"from": 1}, '"a.b" ab 1 liegt', '"a.b" is from 1 on'),
        ({"to": 1}, '"a.b" vor 1 liegt', '"a.b" is before 1'),
        ({"from": 0, "to": 2}, '"a.b" ab 0 und vor 2 liegt', '"a.b" is from 0 on and before 2'),
        ({"prefix": "09"}, '"a.b" mit "09" beginnt', '"a.b" begins with "09"'),
        ({"is": "{0}"}, '"a.b" gleich "{0}" ist', '"a.b" is "{0}"'),
    ],
)
def test_what_a_condition_says(row: dict[str, Any], german: str, english: str) -> None:
    read = said(read_condition({"field": "a.b", **row}, "row"))
    assert (row_words(read, "de"), row_words(read, "en")) == (german, english)
