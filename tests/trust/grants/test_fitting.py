"""Grants against the contract that they are about."""

from typing import Any

import pytest

from bus.contracts import Contract
from bus.errors import InvalidGrant
from bus.trust.grants.fitting import check
from bus.trust.grants.terms import Terms
from tests.trust.grants.contract import contract
from tests.trust.grants.parties import terms

CONTRACT = contract()


def test_the_contract_of_these_tests_is_one() -> None:
    assert Contract.from_json(CONTRACT.to_json()).topic == CONTRACT.topic


@pytest.mark.parametrize(
    "row",
    [
        {"field": "municipality", "prefix": "0927"},
        {"field": "municipality", "from": "09", "to": "10"},
        {"field": "cause", "in": ["MOVE", "UNKNOWN"]},
        {"field": "valid_from", "from": "2026-01-01"},
        {"field": "noted", "to": "2026-01-01T00:00:00Z"},
        {"field": "record", "is": "01890a5d-ac96-774b-bcce-b302099a8057"},
        {"field": "sealed", "is": False},
        {"field": "household", "in": [1, 2]},
        {"field": "share", "from": 0, "to": 1},
        {"field": "new_address.street", "is": "Am Rathaus"},
        {"field": "old_address.floor", "from": 1},
    ],
)
def test_rows_that_can_be_asked(row: dict[str, Any]) -> None:
    check(Terms.from_json(terms(rows=[row])), CONTRACT)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"field": "couse", "is": "MOVE"}, 'did you mean "cause"?'),
        ({"field": "new_address.town", "is": "x"}, 'there is no field "new_address.town"'),
        ({"field": "cause.x", "is": "x"}, "nothing lies below its parent"),
        ({"field": "cause", "is": "MOVED"}, "give one of its symbols: UNKNOWN, MOVE"),
        ({"field": "cause", "prefix": "MO"}, "ask is or in of it"),
        ({"field": "household", "is": "1"}, "give a whole number"),
        ({"field": "household", "is": True}, "give a whole number"),
        ({"field": "household", "prefix": "1"}, "is int, of which prefix cannot be asked"),
        ({"field": "municipality", "is": 9272}, "\"municipality\" is never '9272'"),
        ({"field": "sealed", "is": 0}, "give true or false"),
        ({"field": "share", "is": 1}, "ask from and to of it"),
        ({"field": "valid_from", "is": "1.7.2026"}, "give a day such as 2026-07-01"),
        ({"field": "valid_from", "from": "2026-07-01T00:00:00Z"}, "give a day"),
        ({"field": "noted", "from": "2026-07-01"}, "give an instant"),
        ({"field": "record", "is": "01890A5D-AC96-774B-BCCE-B302099A8057"}, "a UUID"),
        ({"field": "opens", "from": "2026-07-01"}, "ask nothing of it"),
        ({"field": "proof", "is": "x"}, "ask nothing of it"),
        ({"field": "former", "is": "x"}, "is array of string"),
        ({"field": "new_address", "is": "x"}, "is record Address"),
    ],
)
def test_rows_that_cannot(row: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidGrant) as refused:
        check(Terms.from_json(terms(rows=[row])), CONTRACT)
    assert sentence in str(refused.value)
    assert refused.value.where == "grant.rows[0]"


@pytest.mark.parametrize(
    ("said", "of", "sentence"),
    [
        (terms(fields=["cause", "new_adress"]), CONTRACT, 'did you mean "new_address"?'),
        (terms(), contract(access="open"), "an open contract needs no grant"),
        (terms(topic="resident.moved.v1"), CONTRACT, "is about resident.moved.v1"),
    ],
)
def test_terms_that_do_not_fit(said: dict[str, Any], of: Contract, sentence: str) -> None:
    with pytest.raises(InvalidGrant) as refused:
        check(Terms.from_json(said), of)
    assert sentence in str(refused.value)
