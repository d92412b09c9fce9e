"""What somebody who decides is shown of real events."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bus.trust.grants.concerning import is_ever_owned
from bus.trust.grants.samples import SAMPLES, Happened, samples
from bus.trust.grants.terms import Owner, Terms
from tests.trust.grants.contract import EXAMPLE, contract
from tests.trust.grants.parties import terms
from tests.trust.parties import PERLESREUT, RINGELAI, Parties, town

AT = int(datetime(2026, 7, 2, tzinfo=UTC).timestamp() * 1000)
MOVES = {"rows": [{"field": "cause", "is": "MOVE"}]}


@pytest.fixture(scope="module")
def parties() -> Parties:
    return town()


def happened(**changes: Any) -> Happened:
    return Happened(values={**EXAMPLE, **changes}, at_ms=AT, place="t-0@1")


def shown(parties: Parties, *events: Happened, **changes: Any) -> list[tuple[dict[str, Any], str]]:
    said = Terms.from_json(terms(**changes))
    found = samples(said, contract(), parties.ledger.standing, events)
    return [(dict(one.values), one.renamed) for one in found]


@pytest.mark.parametrize(
    ("said", "event", "part"),
    [
        ({"fields": ["cause"]}, {}, ({"cause": "MOVE"}, "")),
        ({"fields": ["cause", "person"]}, {}, ({"cause": "MOVE"}, "person")),
        ({"fields": ["cause"], **MOVES}, {}, ({"cause": "MOVE"}, "")),
        ({"fields": ["cause"], **MOVES}, {"cause": "UNKNOWN"}, None),
        ({"fields": ["cause"]}, {"sealed": True}, None),
        ({"fields": ["cause"]}, {"municipality": "092725214138"}, None),
        ({"fields": ["cause"]}, {"municipality": "000000000000"}, None),
        (
            {"fields": ["cause"], "owner": {"authority": "de.state.09", "ars": "09272"}},
            {"municipality": "092725214138"},
            ({"cause": "MOVE"}, ""),
        ),
        (
            {"fields": ["cause"], "owner": {"authority": "de.state.09", "ars": "08"}},
            {},
            None,
        ),
    ],
)
def test_what_is_shown_of_an_event(
    parties: Parties, said: dict[str, Any], event: dict[str, Any], part: Any
) -> None:
    assert shown(parties, happened(**event), **said) == ([] if part is None else [part])


def test_no_more_than_three_and_the_first_of_them(parties: Parties) -> None:
    events = [happened(household=number) for number in range(9)]
    found = shown(parties, *events, fields=["household"])
    assert found == [({"household": number}, "") for number in range(SAMPLES)]


@pytest.mark.parametrize(
    ("owner", "member", "codes", "concerns"),
    [
        (Owner(RINGELAI), RINGELAI, [], True),
        (Owner(RINGELAI), PERLESREUT, ["092725214138"], False),
        (Owner("de.state.09", "0927"), RINGELAI, ["092720140140"], True),
        (Owner("de.state.09", "0927"), RINGELAI, ["081110000000", "092720140140"], True),
        (Owner("de.state.09", "0927"), RINGELAI, ["081110000000"], False),
        (Owner("de.state.09", "0927"), "de.state.09", [], True),
    ],
)
def test_whose_data_a_grant_is_about(
    owner: Owner, member: str, codes: list[str], concerns: bool
) -> None:
    assert is_ever_owned(owner, member, codes) is concerns
