"""Who loses what when a contract changes."""

from collections.abc import Sequence
from typing import Any

import pytest

from bus.contracts import Contract
from bus.trust.grants.grant import Grant, State
from bus.trust.grants.impact import (
    Change,
    Closed,
    Dropped,
    Lacking,
    Retyped,
    differences,
    impact,
    sentence,
)
from bus.trust.grants.terms import Terms
from tests.trust.grants.contract import ADDRESS, STREET, contract
from tests.trust.grants.parties import LATER, NOW, RECIPIENT, terms

BEFORE = contract()
SHORTER = {**ADDRESS, "fields": [STREET]}


def cause(*symbols: str) -> dict[str, Any]:
    """Return the enum with other symbols."""
    return {"type": "enum", "name": "Cause", "doc": "Why.", "symbols": [*symbols]}


def grant(state: State = State.APPROVED, **changes: Any) -> Grant:
    said = Terms.from_json(terms(**changes))
    return Grant(id=bytes(16), terms=said, state=state, asked=1, asked_ms=NOW)


@pytest.mark.parametrize(
    ("after", "changes"),
    [
        (contract(), []),
        (None, [Closed()]),
        (contract(without="household"), [Dropped("household")]),
        (contract(household="long"), [Retyped("household", "int", "long")]),
        (contract(cause=cause("UNKNOWN")), [Lacking("cause", ("MOVE",))]),
        (contract(cause=cause("UNKNOWN", "MOVE", "BIRTH")), []),
        (contract(cause="string"), [Retyped("cause", "enum Cause", "string")]),
        (
            contract(old_address=["null", SHORTER]),
            [Dropped("old_address.floor"), Dropped("new_address.floor")],
        ),
    ],
)
def test_what_changes(after: Contract | None, changes: list[Change]) -> None:
    assert differences(BEFORE, after) == changes


def test_a_record_within_itself_is_looked_into_once() -> None:
    inner: dict[str, Any] = {"type": "record", "name": "P", "doc": "A person.", "fields": []}
    inner["fields"] = [
        {"name": "name", "type": "string", "doc": "Name."},
        {"name": "parent", "type": ["null", "P"], "default": None, "doc": "Parent."},
    ]
    one = contract(person=inner)
    assert differences(one, one) == []


MOVES, BOTH = ({"field": "cause", "in": one} for one in (["MOVE"], ["MOVE", "UNKNOWN"]))
NONE = {"field": "cause", "is": "UNKNOWN"}
FEWER, GONE = contract(cause=cause("UNKNOWN")), Lacking("cause", ("MOVE",))
FLOOR = {"field": "new_address.floor", "from": 1}


@pytest.mark.parametrize(
    ("said", "after", "losses"),
    [
        ({"fields": ["cause"]}, contract(without="household"), []),
        (
            {"fields": ["cause", "household"]},
            contract(without="household"),
            [(Dropped("household"), False)],
        ),
        (
            {"fields": ["household"]},
            contract(without="household"),
            [(Dropped("household"), True)],
        ),
        (
            {"fields": ["cause"], "rows": [{"field": "household", "is": 1}]},
            contract(without="household"),
            [(Dropped("household"), True)],
        ),
        (
            {"fields": ["new_address"]},
            contract(old_address=["null", SHORTER]),
            [(Dropped("new_address.floor"), False)],
        ),
        (
            {"fields": ["cause"], "rows": [FLOOR]},
            contract(old_address=["null", SHORTER]),
            [(Dropped("new_address.floor"), True)],
        ),
        (
            {"fields": ["household"], "rows": [{"field": "household", "is": 1}]},
            contract(household="long"),
            [(Retyped("household", "int", "long"), False)],
        ),
        (
            {"fields": ["cause"], "rows": [{"field": "household", "is": 1}]},
            contract(household="string"),
            [(Retyped("household", "int", "string"), True)],
        ),
        (
            {"fields": ["cause"], "rows": [{"field": "household", "is": 1}]},
            contract(household="long"),
            [],
        ),
        ({}, None, [(Closed(), True)]),
        ({"fields": ["cause"]}, FEWER, [(GONE, False)]),
        ({"fields": ["household"]}, FEWER, []),
        ({"fields": ["household"], "rows": [MOVES]}, FEWER, [(GONE, True)]),
        ({"fields": ["cause"], "rows": [BOTH]}, FEWER, [(GONE, False)]),
        ({"fields": ["cause"], "rows": [BOTH, MOVES]}, FEWER, [(GONE, True)]),
        ({"fields": ["cause"], "rows": [NONE]}, FEWER, []),
    ],
)
def test_who_loses_what(
    said: dict[str, Any], after: Contract | None, losses: Sequence[tuple[Change, bool]]
) -> None:
    one = grant(**said)
    found = impact([one], differences(BEFORE, after), after, NOW)
    assert [(loss.change, loss.everything) for loss in found] == losses
    assert all(loss.grant is one for loss in found)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize(("at_ms", "is_over"), [(0, False), (NOW, False), (LATER, True)])
def test_only_grants_that_are_or_will_be_live_lose(state: State, at_ms: int, is_over: bool) -> None:
    loses = state is State.APPROVED and not is_over
    assert bool(impact([grant(state)], [Closed()], None, at_ms)) is loses


@pytest.mark.parametrize(
    ("after", "german", "english"),
    [
        (
            contract(without="household"),
            f'Das Feld "household" entfällt: {RECIPIENT} bekommt es danach nicht mehr',
            f'The field "household" is dropped: {RECIPIENT} does not get it any more after that',
        ),
        (
            contract(household="long"),
            f'Das Feld "household" wird von int zu long: {RECIPIENT} bekommt es danach so',
            f'The field "household" changes from int to long: {RECIPIENT} gets it like that',
        ),
        (
            None,
            f"resident.address-changed.v1 endet: {RECIPIENT} bekommt danach nichts mehr",
            f"resident.address-changed.v1 ends: {RECIPIENT} gets nothing any more after that",
        ),
        (
            FEWER,
            f'Das Feld "cause" kennt MOVE nicht mehr: {RECIPIENT} bekommt danach keinen solchen',
            f'The field "cause" has MOVE no more: {RECIPIENT} gets no such value any more',
        ),
    ],
)
def test_losses_in_sentences(after: Contract | None, german: str, english: str) -> None:
    (loss,) = impact([grant(fields=["cause", "household"])], differences(BEFORE, after), after, NOW)
    assert sentence(loss, "de").startswith(german)
    assert sentence(loss, "en").startswith(english)
    assert sentence(loss, "en").endswith(f"under the grant {'00' * 16}.")
