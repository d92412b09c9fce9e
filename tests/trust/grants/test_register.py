"""The register of processing: what each row answers, and which grants are in it."""

from typing import Any

import pytest

from bus.trust.grants.grant import Grant, State
from bus.trust.grants.register import COLUMNS, Activity, Contact, cells, register
from bus.trust.grants.terms import Terms
from tests.trust.grants.contract import contract
from tests.trust.grants.parties import LATER, NOW, OWNER, RECIPIENT, TOPIC, terms

CONTACTS = {
    OWNER: Contact("Ringelai", "ordnungsamt@ringelai.example", "datenschutz@ringelai.example"),
    RECIPIENT: Contact("Finanzamt", "post@finanzamt.example", "dsb@finanzamt.example"),
}
DAY = 86_400_000


def grant(state: State = State.APPROVED, *, ended: int | None = None, **changes: Any) -> Grant:
    said = Terms.from_json(terms(**changes))
    return Grant(
        id=bytes(16),
        terms=said,
        state=state,
        asked=1,
        asked_ms=NOW,
        decided_ms=NOW,
        ended_ms=ended,
    )


def rows(*grants: Grant, at_ms: int = NOW) -> list[Activity]:
    return register(grants, {TOPIC: contract()}, CONTACTS, owner=OWNER, language="de", at_ms=at_ms)


def test_what_a_row_answers() -> None:
    assert rows(grant()) == [
        Activity(
            controller="Ringelai",
            contact="ordnungsamt@ringelai.example",
            privacy="datenschutz@ringelai.example",
            recipient="Finanzamt",
            recipient_id=RECIPIENT,
            purpose="Steuern und Abgaben",
            norm="§ 34 Abs. 1 BMG",
            basis="Für die Grundsteuer.",
            data="Anschrift geändert",
            topic=TOPIC,
            categories=(("cause", "confidential"), ("new_address", "confidential")),
            third_country="",
            erased="last-state",
            since="2026-05-28T20:26:40Z",
            until="2027-01-01T00:00:00Z",
            state="live",
            grant="00" * 16,
        )
    ]


@pytest.mark.parametrize(
    ("one", "at_ms", "state", "until"),
    [
        (grant(), LATER, "expired", "2027-01-01T00:00:00Z"),
        (grant(State.REVOKED, ended=NOW + DAY), LATER, "revoked", "2026-05-29T20:26:40Z"),
        (grant(State.ENDED, ended=NOW + DAY), LATER, "ended", "2026-05-29T20:26:40Z"),
    ],
)
def test_past_grants_stay_in_it_with_the_day_they_ended(
    one: Grant, at_ms: int, state: str, until: str
) -> None:
    (row,) = rows(one, at_ms=at_ms)
    assert (row.state, row.until) == (state, until)


@pytest.mark.parametrize("state", [State.REQUESTED, State.REFUSED, State.WITHDRAWN])
def test_what_was_never_approved_is_not_in_it(state: State) -> None:
    assert rows(grant(state)) == []


def test_a_recipient_in_a_third_country_shows() -> None:
    (row,) = rows(grant(recipient="ch.agency.bfs"))
    assert (row.third_country, row.recipient) == ("ch", "ch.agency.bfs")


def test_a_contract_that_is_not_known_any_more_is_named_by_its_topic() -> None:
    (row,) = rows(grant(topic="resident.name-changed.v1"))
    assert (row.data, row.erased) == ("resident.name-changed.v1", "")


def test_the_register_of_a_recipient_names_each_controller() -> None:
    both = [grant(), grant(owner={"member": "de.mun.092720120120"})]
    found = register(both, {}, CONTACTS, owner=None, language="en", at_ms=NOW)
    assert [row.controller for row in found] == ["Ringelai", "de.mun.092720120120"]


@pytest.mark.parametrize("said", ["=HYPERLINK(1)", "+1", "-1", "@x", "\tx", "\rx"])
def test_no_cell_is_a_formula(said: str) -> None:
    (row,) = rows(grant(basis={"text": said, "norm": "§ 34 Abs. 1 BMG"}))
    line = dict(zip(COLUMNS, cells(row), strict=True))
    assert line["basis"] == f"'{said}"
    assert line["categories"] == "cause (confidential), new_address (confidential)"
