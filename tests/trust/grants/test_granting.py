"""Which statements make, decide and end a grant, and which are void."""

from dataclasses import replace

import pytest

from bus.trust.grants.book import Book
from bus.trust.grants.grant import State
from bus.trust.grants.granting import (
    APPROVED,
    ENDED,
    REFUSED,
    REVOKED,
    WITHDRAWN,
    Reason,
    Step,
    Void,
)
from bus.trust.grants.parties import Verified
from tests.trust.grants.parties import (
    AUTHORITY,
    LATER,
    NOW,
    OWNER,
    RECIPIENT,
    TOPIC,
    World,
    asked,
    decided,
    terms,
)

REQUEST = asked(terms())
UNDER = asked(terms(owner={"authority": AUTHORITY, "ars": "09"}))
OTHER = "de.mun.091620000000"
YES, NO = decided(REQUEST), decided(REQUEST, REFUSED)
BACK = decided(REQUEST, WITHDRAWN, by=RECIPIENT)
OFF, GIVEN_UP = decided(REQUEST, REVOKED), decided(REQUEST, ENDED, by=RECIPIENT)


def outcome(world: World, *statements: Verified) -> Step | Void:
    """Return what the last of some statements did; those before it have an effect."""
    book = Book(world)
    for statement in statements[:-1]:
        assert isinstance(book.apply(statement), Step)
    return book.apply(statements[-1])


@pytest.mark.parametrize(
    ("statements", "state"),
    [
        ([REQUEST], State.REQUESTED),
        ([REQUEST, YES], State.APPROVED),
        ([REQUEST, NO], State.REFUSED),
        ([REQUEST, BACK], State.WITHDRAWN),
        ([REQUEST, YES, OFF], State.REVOKED),
        ([REQUEST, YES, GIVEN_UP], State.ENDED),
        ([REQUEST, decided(REQUEST, REFUSED, why="Kein Bedarf.")], State.REFUSED),
        ([UNDER, decided(UNDER, by=AUTHORITY)], State.APPROVED),
    ],
)
def test_what_becomes_of_a_request(statements: list[Verified], state: State) -> None:
    step = outcome(World(), *statements)
    assert isinstance(step, Step)
    assert step.state is state


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        ([replace(REQUEST, body={**REQUEST.body, "x": 1})], Reason.MALFORMED),
        ([replace(REQUEST, body={**REQUEST.body, "purpose": "fun"})], Reason.MALFORMED),
        ([replace(REQUEST, issuer=OWNER)], Reason.WRONG_MEMBER),
        ([REQUEST, REQUEST], Reason.REPEATED),
        ([REQUEST, YES, REQUEST], Reason.REPEATED),
        ([YES], Reason.UNKNOWN_GRANT),
        ([REQUEST, replace(YES, body={})], Reason.MALFORMED),
        ([REQUEST, replace(YES, body={"grant": REQUEST.digest.hex()[:32]})], Reason.MALFORMED),
        ([REQUEST, decided(REQUEST, fields=["cause"])], Reason.MALFORMED),
        ([REQUEST, decided(REQUEST, why="x" * 1001)], Reason.MALFORMED),
        ([REQUEST, decided(REQUEST, by=RECIPIENT)], Reason.WRONG_MEMBER),
        ([REQUEST, decided(REQUEST, by=OTHER)], Reason.WRONG_MEMBER),
        ([REQUEST, decided(REQUEST, REFUSED, by=RECIPIENT)], Reason.WRONG_MEMBER),
        ([REQUEST, decided(REQUEST, WITHDRAWN, by=OWNER)], Reason.WRONG_MEMBER),
        ([REQUEST, YES, decided(REQUEST, REVOKED, by=OTHER)], Reason.WRONG_MEMBER),
        ([REQUEST, YES, decided(REQUEST, ENDED, by=OWNER)], Reason.WRONG_MEMBER),
        ([UNDER, decided(UNDER, by=OWNER)], Reason.WRONG_MEMBER),
        ([REQUEST, YES, YES], Reason.NOT_REQUESTED),
        ([REQUEST, BACK, YES], Reason.NOT_REQUESTED),
        ([REQUEST, NO, YES], Reason.NOT_REQUESTED),
        ([REQUEST, YES, OFF, YES], Reason.NOT_REQUESTED),
        ([REQUEST, YES, BACK], Reason.NOT_REQUESTED),
        ([REQUEST, OFF], Reason.NOT_APPROVED),
        ([REQUEST, YES, OFF, GIVEN_UP], Reason.NOT_APPROVED),
        ([REQUEST, replace(YES, at_ms=LATER)], Reason.OVER),
        ([REQUEST, YES, replace(OFF, at_ms=LATER)], Reason.OVER),
    ],
)
def test_what_is_void(statements: list[Verified], reason: Reason) -> None:
    void = outcome(World(), *statements)
    assert isinstance(void, Void)
    assert void.reason is reason
    assert void.what


def test_an_authority_decides_only_where_it_is_entitled_to() -> None:
    void = outcome(World(authorities=set()), UNDER, decided(UNDER, by=AUTHORITY))
    assert isinstance(void, Void)
    assert void.reason is Reason.NOT_ENTITLED
    assert isinstance(
        outcome(World(authorities=set()), UNDER, decided(UNDER, REFUSED, by=AUTHORITY)), Step
    )


ONE, TWO = frozenset({"o1"}), frozenset({"o2"})


@pytest.mark.parametrize(
    ("keys", "states"),
    [
        ([ONE, TWO], [State.REQUESTED, State.APPROVED]),
        ([ONE | TWO], [State.APPROVED]),
        ([ONE, ONE, TWO], [State.REQUESTED, Reason.SAME_KEY, State.APPROVED]),
        ([ONE, ONE | TWO], [State.REQUESTED, State.APPROVED]),
    ],
)
def test_four_eyes(keys: list[frozenset[str]], states: list[State | Reason]) -> None:
    book = Book(World(four_eyes={OWNER}))
    book.apply(REQUEST)
    for some, wanted in zip(keys, states, strict=True):
        found = book.apply(decided(REQUEST, APPROVED, keys=some))
        assert (found.state if isinstance(found, Step) else found.reason) is wanted
        granted = book.match(TOPIC, OWNER, "", {}, NOW)
        assert bool(granted) is (wanted is State.APPROVED)


@pytest.mark.parametrize("last", [NO, BACK])
def test_a_request_that_one_has_approved_can_still_be_refused_and_withdrawn(last: Verified) -> None:
    world = World(four_eyes={OWNER})
    void = outcome(world, REQUEST, YES, last, decided(REQUEST, keys=TWO))
    assert isinstance(void, Void)
    assert void.reason is Reason.NOT_REQUESTED


def test_what_a_second_key_is_not_wanted_for() -> None:
    world = World(four_eyes={OWNER})
    step = outcome(world, REQUEST, YES, decided(REQUEST, keys=TWO), OFF)
    assert isinstance(step, Step)
    assert step.state is State.REVOKED
