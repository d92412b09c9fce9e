"""What a subscription's figures mean."""

from typing import Any

import pytest

from bus.portal.judging import Finding, judged
from bus.portal.states import State
from tests.portal.city import NOW, subscription

WEEK = 604_800.0


@pytest.mark.parametrize(
    ("facts", "retention", "finding"),
    [
        pytest.param({}, WEEK, Finding.CURRENT, id="nothing is unread"),
        pytest.param({"records": 5, "seconds": 2.0}, WEEK, Finding.READING, id="promised nothing"),
        pytest.param(
            {"records": 5, "seconds": 30.0, "promise": 30.0},
            WEEK,
            Finding.READING,
            id="just in time",
        ),
        pytest.param(
            {"records": 5, "seconds": 30.1, "promise": 30.0}, WEEK, Finding.LATE, id="late"
        ),
        pytest.param(
            {"records": 5, "seconds": 901.0, "moved": NOW - 901.0},
            WEEK,
            Finding.STALLED,
            id="stalled",
        ),
        pytest.param(
            {"records": 0, "seconds": 0.0, "moved": NOW - WEEK},
            WEEK,
            Finding.CURRENT,
            id="idle topic",
        ),
        pytest.param(
            {"records": 5, "seconds": 0.51 * WEEK},
            WEEK,
            Finding.ENDANGERED,
            id="half the retention",
        ),
        pytest.param(
            {"records": 5, "seconds": 0.81 * WEEK}, WEEK, Finding.VANISHING, id="nearly all of it"
        ),
        pytest.param({"records": 5, "seconds": WEEK}, None, Finding.READING, id="kept for ever"),
        pytest.param({"lost": 1}, WEEK, Finding.LOST, id="one was deleted unread"),
        pytest.param({"ahead": 1}, WEEK, Finding.STRAYED, id="behind the end"),
        pytest.param(
            {"records": 5, "seconds": None, "positions": {}},
            WEEK,
            Finding.NEVER,
            id="never committed",
        ),
        pytest.param(
            {"records": 5, "seconds": None}, WEEK, Finding.UNREADABLE, id="cannot be read"
        ),
    ],
)
def test_the_worst_is_told(
    facts: dict[str, Any], retention: float | None, finding: Finding
) -> None:
    assert judged(subscription(**facts), retention, NOW) is finding


def test_what_is_worse_stands_before_what_is_better() -> None:
    known = [finding for finding in Finding if finding.state is not State.UNKNOWN]
    assert known == sorted(known, key=lambda one: -one.state.severity)
