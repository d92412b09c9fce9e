"""What flows under which grants, where the random tests seldom look."""

import pytest

from bus.errors import NotFound
from bus.trust.grants.book import Book
from bus.trust.grants.grant import grant_id
from bus.trust.grants.granting import REVOKED, Step
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

ARS = "092720140140"
UNDER = {"authority": AUTHORITY, "ars": "09"}
SINCE, UNTIL = 1_767_225_600_000, 1_798_761_600_000
"""When the terms of these tests begin and end."""


def test_overlapping_grants_give_one_event_with_the_union_of_their_fields() -> None:
    book = Book(World())
    requests = [
        asked(terms(fields=fields, owner=owner), number=number)
        for number, (fields, owner) in enumerate(
            [(["b", "d"], {"member": OWNER}), (["a"], UNDER), (["b"], {"member": OWNER})]
        )
    ]
    for request in requests:
        book.apply(request)
        by = AUTHORITY if "authority" in request.body["owner"] else OWNER
        book.apply(decided(request, by=by))
    (found,) = book.match(TOPIC, OWNER, ARS, {}, NOW)
    assert found.recipient == RECIPIENT
    assert found.fields == ("a", "b", "d")
    assert found.grants == tuple(grant_id(one.digest) for one in requests)


@pytest.mark.parametrize(
    ("at_ms", "flows"), [(SINCE - 1, False), (SINCE, True), (UNTIL - 1, True), (UNTIL, False)]
)
@pytest.mark.parametrize("expires", [False, True])
def test_a_grant_holds_from_its_first_instant_up_to_its_last(
    at_ms: int, flows: bool, expires: bool
) -> None:
    book, request = Book(World()), asked(terms())
    book.apply(request)
    book.apply(decided(request))
    if expires:
        assert book.expire(at_ms) == ([0] if at_ms >= UNTIL else [])
    assert bool(book.match(TOPIC, OWNER, ARS, {}, at_ms)) is flows
    assert book.in_force(grant_id(request.digest), at_ms) is flows


def test_something_flows_under_a_grant_from_its_approval_until_it_is_revoked() -> None:
    world, request = World(), asked(terms(purpose="tax"))
    book, grant = Book(world), grant_id(request.digest)
    assert not book.in_force(grant, NOW)
    with pytest.raises(NotFound):
        book.purpose(grant)
    flows = []
    for step in (request, decided(request), decided(request, REVOKED)):
        assert isinstance(book.apply(step), Step)
        flows.append(book.in_force(grant, NOW))
        world.inactive = {RECIPIENT}
        assert not book.in_force(grant, NOW)
        world.inactive = set()
    assert flows == [False, True, False]
    assert book.purpose(grant) == "tax"


def test_grants_rest_while_somebody_may_not_act() -> None:
    world = World()
    book, own, under = Book(world), asked(terms()), asked(terms(owner=UNDER))
    for request, by in ((own, OWNER), (under, AUTHORITY)):
        book.apply(request)
        book.apply(decided(request, by=by))

    def flowing() -> list[bytes]:
        return [name for one in book.match(TOPIC, OWNER, ARS, {}, NOW) for name in one.grants]

    own_id, under_id = grant_id(own.digest), grant_id(under.digest)
    assert flowing() == [own_id, under_id]
    world.inactive = {OWNER}
    assert flowing() == [under_id]
    world.inactive = {AUTHORITY}
    assert flowing() == [own_id]
    world.inactive = {RECIPIENT}
    assert flowing() == []
    world.inactive = set()
    world.authorities = set()
    assert flowing() == [own_id]


@pytest.mark.parametrize("count", [1, 2, 40])
def test_a_revoked_grant_is_gone_and_the_others_stay(count: int) -> None:
    book = Book(World())
    row = {"field": "cause", "in": ["MOVE", "BIRTH"]}
    requests = [asked(terms(rows=[row]), number=number) for number in range(count)]
    for request in requests:
        book.apply(request)
        book.apply(decided(request))
    left = [grant_id(one.digest) for one in requests]
    for request in requests[::2] + requests[1::2]:
        book.apply(decided(request, REVOKED))
        left.remove(grant_id(request.digest))
        found = book.match(TOPIC, OWNER, ARS, {"cause": "BIRTH"}, NOW)
        assert [list(one.grants) for one in found] == ([left] if left else [])


def test_a_grant_whose_time_is_over_is_not_looked_at_any_more() -> None:
    book, request = Book(World()), asked(terms())
    book.apply(request)
    book.apply(decided(request))
    assert book.expire(LATER) == [0]
    assert book.expire(LATER) == []
    book.apply(decided(request, REVOKED, at_ms=LATER))
    assert book.match(TOPIC, OWNER, ARS, {}, NOW) == []
