"""What terms may say, and which sentence refuses the rest."""

from typing import Any

import pytest

from bus.errors import InvalidGrant
from bus.trust.grants.terms import Owner, Terms, write_rows
from bus.trust.grants.vocabulary import PURPOSES, STATUTES, norm
from tests.trust.grants.parties import AUTHORITY, OWNER, RECIPIENT, TERMS, terms

UNDER = {"authority": AUTHORITY, "ars": "0927"}
MANY = [f"f{number:03}" for number in range(257)]
ROW = {"field": "cause", "is": "MOVE"}


@pytest.mark.parametrize(
    "said",
    [
        TERMS,
        terms(owner={"authority": AUTHORITY, "ars": "09272"}),
        terms(rows=[ROW, {"field": "cause", "in": ["MOVE", "BIRTH"]}]),
        terms(rows=[{"field": "household", "from": 1, "to": 5}, {"field": "a.b", "to": "x"}]),
        terms(rows=[{"field": "municipality", "prefix": "0927"}]),
        terms(basis={"text": "Satzung", "norm": "Art. 6 Abs. 1 Buchst. e DSGVO"}),
    ],
)
def test_terms_are_written_as_they_were_read(said: dict[str, Any]) -> None:
    assert Terms.from_json(said).to_json() == said


def test_what_terms_say() -> None:
    read = Terms.from_json(terms(owner={"authority": AUTHORITY, "ars": "09"}, rows=[ROW]))
    assert read.owner == Owner(AUTHORITY, "09")
    assert (read.recipient, read.fields) == (RECIPIENT, ("cause", "new_address"))
    assert write_rows(read.rows) == '[{"field":"cause","is":"MOVE"}]'
    assert read.until.year == 2027


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ([], "grant: is no mapping"),
        ({**TERMS, "fileds": []}, 'unknown name "fileds"; did you mean "fields"?'),
        ({name: TERMS[name] for name in TERMS if name != "rows"}, "grant.rows: is missing"),
        (terms(owner="x"), "grant.owner: is no mapping"),
        (terms(owner={"member": "x"}), 'grant.owner.member: "x" is no member\'s id'),
        (terms(owner={"member": OWNER, "ars": "09"}), 'unknown name "ars"'),
        (terms(owner=UNDER), '"0927" is no beginning of an official code'),
        (terms(owner={**UNDER, "ars": "٠٩"}), "is no beginning of an official code"),
        (terms(owner={**UNDER, "ars": ""}), "is no beginning of an official code"),
        (terms(recipient=OWNER), "a member needs no grant for its own data"),
        (terms(recipient=f"{OWNER}.meldewesen"), "is no member's id"),
        (terms(topic="resident"), "with its major version"),
        (terms(fields=[]), "is no list of 1 to 256 fields"),
        (terms(fields=MANY), "is no list of 1 to 256 fields"),
        (terms(fields=["new_address", "cause"]), "write cause, new_address"),
        (terms(fields=["cause", "cause"]), "has a field twice"),
        (terms(fields=["new_address.street"]), "is no name of a top-level field"),
        (terms(fields=[1]), "is no name of a top-level field"),
        (terms(rows={}), "is no list of at most 8 conditions"),
        (terms(rows=[ROW] * 9), "ask for a second grant"),
        (terms(rows=["cause = MOVE"]), "grant.rows[0]: is no condition"),
        (terms(rows=[{"field": "cause"}]), "is no condition"),
        (terms(rows=[{**ROW, "in": ["x"]}]), "is no condition"),
        (terms(rows=[{**ROW, "or": "x"}]), "is no condition"),
        (terms(rows=[{"field": "a..b", "is": 1}]), "is no field's name"),
        (terms(rows=[{"field": "a", "is": 1.5}]), "neither text nor a whole number"),
        (terms(rows=[{"field": "a", "is": None}]), "neither text nor a whole number"),
        (terms(rows=[{"field": "a", "is": "x" * 201}]), "more than 200 characters"),
        (terms(rows=[{"field": "a", "in": []}]), "between 1 and 200 values"),
        (terms(rows=[{"field": "a", "in": [*range(201)]}]), "between 1 and 200 values"),
        (terms(rows=[{"field": "a", "in": ["1", 1]}]), "values of several types"),
        (terms(rows=[{"field": "a", "in": [1, True]}]), "values of several types"),
        (terms(rows=[{"field": "a", "in": [1, 1]}]), "a value twice"),
        (terms(rows=[{"field": "a", "prefix": ""}]), "between 1 and 200 characters"),
        (terms(rows=[{"field": "a", "from": True}]), "neither text nor a whole number"),
        (terms(rows=[{"field": "a", "from": 2, "to": 1}]), "nothing is from 2 on and below 1"),
        (terms(rows=[{"field": "a", "from": 1, "to": 1}]), "the lower one first"),
        (terms(rows=[{"field": "a", "from": 1, "to": "2"}]), "give two of one kind"),
        (terms(rows=[{"field": "a", "from": "2026-01-01", "to": "b"}]), "give two of one kind"),
        (
            terms(rows=[{"field": "a", "in": [f"{'x' * 190}{n}" for n in range(150)]}]),
            "16384 are allowed",
        ),
        (terms(purpose="taxes"), 'there is no purpose "taxes"; did you mean "tax"?'),
        (terms(purpose=1), "grant.purpose: is no text"),
        (terms(basis={"text": "x", "norm": "BMG § 34"}), "name section and statute"),
        (terms(basis={"text": "x", "norm": "§ 34 BMGG"}), 'did you mean "BMG"?'),
        (terms(basis={"text": "x", "norm": "Art. 34 BMG"}), "BMG is not divided into Art."),
        (terms(basis={"text": " ", "norm": "§ 34 BMG"}), "say in words why"),
        (terms(basis={"text": "x" * 2001, "norm": "§ 34 BMG"}), "between 1 and 2000"),
        (terms(from_="2027-01-01T00:00:00Z"), "but begins at 2027-01-01T00:00:00Z"),
        (terms(from_="2028-01-01T00:00:00Z"), "give the earlier instant as from"),
        (terms(from_="2026-01-01"), "is no instant in UTC and whole seconds"),
        (terms(from_="2026-01-01T01:00:00+01:00"), "write it like 2026-07-01T00:00:00Z"),
        (terms(from_="2026-02-30T00:00:00Z"), "is no instant"),
        (terms(to="2027-01-01T00:00:00.5Z"), "whole seconds"),
    ],
)
def test_what_is_refused(said: object, sentence: str) -> None:
    with pytest.raises(InvalidGrant) as refused:
        Terms.from_json(said)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "§ 34 BMG",
        "§ 34 Abs. 1 Satz 2 Nr. 3 BMG",
        "§ 67a Abs. 1 SGB X",
        "§ 5 2. BMeldDÜV",
        "Art. 6 Abs. 1 Buchst. e DSGVO",
        "Art. 4 BayDSG",
    ],
)
def test_how_norms_are_written(text: str) -> None:
    assert norm(text, "norm") == text


def test_the_vocabulary_is_there_in_both_languages() -> None:
    assert all(one.de.strip() and one.en.strip() for one in PURPOSES.values())
    assert {one.unit for one in STATUTES.values()} == {"§", "Art."}
    for name, statute in STATUTES.items():
        assert norm(f"{statute.unit} 1 {name}", "norm")
