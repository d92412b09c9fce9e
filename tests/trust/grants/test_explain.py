"""Why an event reached a recipient, or did not, in both languages."""

from dataclasses import replace
from typing import Any

import pytest

from bus.trust.grants.explain import Obstacle, Why, explain
from bus.trust.grants.grant import Grant, State
from bus.trust.grants.plain import obstacle_words
from bus.trust.grants.rows import Said
from bus.trust.grants.terms import Terms
from tests.trust.grants.parties import (
    AUTHORITY,
    LATER,
    NOW,
    OWNER,
    RECIPIENT,
    TOPIC,
    World,
    terms,
)

MOVED = {"field": "cause", "is": "MOVE"}
ROW = Said("cause", "is", ("MOVE",))


def grant(state: State = State.APPROVED, **changes: Any) -> Grant:
    said = Terms.from_json(terms(**{"rows": [MOVED], **changes}))
    return Grant(id=bytes(16), terms=said, state=state, asked=1, asked_ms=NOW)


def obstacles(one: Grant, world: World, cause: str = "MOVE", at_ms: int = NOW) -> list[Obstacle]:
    (finding,) = explain(
        [one],
        world,
        recipient=RECIPIENT,
        topic=TOPIC,
        owner=OWNER,
        ars="092720140140",
        values={"cause": cause},
        at_ms=at_ms,
    )
    assert finding.applies is (not finding.obstacles)
    return list(finding.obstacles)


@pytest.mark.parametrize(
    ("one", "world", "cause", "at_ms", "wanted"),
    [
        (grant(), World(), "MOVE", NOW, []),
        (grant(owner={"authority": AUTHORITY, "ars": "09"}), World(), "MOVE", NOW, []),
        (grant(), World(), "BIRTH", NOW, [Obstacle(Why.ROW, row=ROW)]),
        (grant(), World(), "MOVE", LATER, [Obstacle(Why.EXPIRED)]),
        (grant(), World(), "MOVE", 0, [Obstacle(Why.PENDING)]),
        *[
            (grant(state), World(), "MOVE", NOW, [Obstacle(Why(state.word))])
            for state in State
            if state is not State.APPROVED
        ],
        (grant(), World({OWNER}), "MOVE", NOW, [Obstacle(Why.RESTING, member=OWNER)]),
        (grant(), World({RECIPIENT}), "MOVE", NOW, [Obstacle(Why.RESTING, member=RECIPIENT)]),
        (
            grant(State.REVOKED),
            World(),
            "BIRTH",
            NOW,
            [Obstacle(Why.REVOKED), Obstacle(Why.ROW, row=ROW)],
        ),
    ],
)
def test_what_stood_in_the_way(
    one: Grant, world: World, cause: str, at_ms: int, wanted: list[Obstacle]
) -> None:
    assert obstacles(one, world, cause, at_ms) == wanted


@pytest.mark.parametrize(
    "other",
    [
        {"owner": {"member": "de.mun.091620000000"}},
        {"owner": {"authority": "de.state.11", "ars": "11"}},
        {"recipient": "de.util.stadtwerke"},
        {"topic": "resident.name-changed.v1"},
    ],
)
def test_grants_that_have_nothing_to_do_with_it_are_left_out(other: dict[str, Any]) -> None:
    given = {"recipient": RECIPIENT, "topic": TOPIC, "owner": OWNER, "ars": "092720140140"}
    assert explain([grant(**other)], World(), **given, values={}, at_ms=NOW) == []


@pytest.mark.parametrize("why", [why for why in Why if why is not Why.ROW])
def test_every_reason_has_a_sentence_in_both_languages(why: Why) -> None:
    said = {language: obstacle_words(Obstacle(why), language) for language in ("de", "en")}
    assert said["de"] != said["en"]
    assert all(one.endswith(".") and "{" not in one for one in said.values())


def test_the_sentences_name_the_condition_and_the_member() -> None:
    row = Obstacle(Why.ROW, row=ROW)
    assert obstacle_words(row, "de") == 'Es trifft nicht zu, dass "cause" gleich "MOVE" ist.'
    assert obstacle_words(row, "en") == 'It is not so that "cause" is "MOVE".'
    resting = replace(Obstacle(Why.RESTING), member=OWNER)
    names = {OWNER: "Ringelai"}
    assert "weil Ringelai nicht" in obstacle_words(resting, "de", name=names.__getitem__)
