"""Every kind of breach on a feed is found, and none where all is as it should be."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ops.torture.router.judging import LATE_MS, Given, Said, Told, judged

TAX, WATER = "de.agency.finanzamt", "de.util.stadtwerke"
STATE = "7/abc"
FIRST = Given("g1", TAX, frozenset({"cause"}), None, begun_ms=0)
MOVES = Given("g2", WATER, frozenset({"household"}), "MOVE", begun_ms=0)
SAID = [
    Said(0, 0, b"k1", 10_000, "e1", "MOVE", sealed=False),
    Said(0, 1, b"k2", 11_000, "e2", "DEATH", sealed=False),
    Said(0, 2, b"k1", 12_000, "e3", "MOVE", sealed=False),
    Said(0, 3, b"k2", 13_000, "e4", "DEATH", sealed=True),
]


def told(recipient: str, key: bytes, event: str, grant: Given, **changes: Any) -> Told:
    one = Told(recipient, 0, key, 13_500, event, grant.fields, (grant.id,), STATE, (1,))
    return one._replace(**changes)


TOLD = [
    told(TAX, b"t1", "e1", FIRST),
    told(WATER, b"w1", "e1", MOVES),
    told(TAX, b"t2", "e2", FIRST),
    told(TAX, b"t1", "e3", FIRST),
    told(WATER, b"w1", "e3", MOVES),
    told(TAX, b"t2", "gone", FIRST, given=None),
]
Telling = list[Told]


def breaches(told: Telling, grants: list[Given] | None = None) -> list[str]:
    disclosed = [(one.recipient, one.event) for one in told]
    return judged(SAID, told, grants or [FIRST, MOVES], disclosed).breaches


def test_nothing_is_found_where_all_is_well() -> None:
    assert breaches(TOLD) == []


def test_a_snapshot_that_was_started_over_is_no_repeat() -> None:
    again = TOLD[4]._replace(begun=(2,))
    assert breaches([*TOLD, again]) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        pytest.param(lambda all_: all_[:3] + all_[4:], "never got e3", id="one was not told"),
        pytest.param(lambda all_: all_[:-1], "feeds hold", id="a sealed one is still there"),
        pytest.param(lambda all_: [*all_, all_[4]], "twice", id="a repeat"),
        pytest.param(
            lambda all_: [*all_, all_[0]._replace(state="8/def")], "goes back", id="a step back"
        ),
        pytest.param(
            lambda all_: [*all_[:4], all_[4]._replace(given=frozenset({"household", "cause"}))],
            "feeds hold",
            id="a field too many",
        ),
        pytest.param(
            lambda all_: [*all_, told(WATER, b"w2", "e2", MOVES)], "feeds hold", id="a leak"
        ),
    ],
)
def test_each_breach_is_found(change: Callable[[Telling], Telling], found: str) -> None:
    assert any(found in breach for breach in breaches(change(TOLD)))


@pytest.mark.parametrize(("late_ms", "is_found"), [(LATE_MS, False), (LATE_MS + 1, True)])
def test_what_is_written_under_a_grant_that_ended_is_late(late_ms: int, is_found: bool) -> None:
    ended = replace(MOVES, ended_ms=13_500 - late_ms)
    gone = told(WATER, b"w1", "gone", MOVES, given=None)
    assert any("was revoked" in one for one in breaches([*TOLD, gone], [FIRST, ended])) is is_found


def test_disclosures_are_held_against_deliveries() -> None:
    disclosed = [(one.recipient, one.event) for one in TOLD]
    assert judged(SAID, TOLD, [FIRST, MOVES], disclosed[1:]).breaches
    assert judged(SAID, TOLD, [FIRST, MOVES], [*disclosed, (TAX, "e9")]).breaches
