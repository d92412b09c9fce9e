"""What an observation does to the traffic view."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bus.errors import BadEvent
from consumers.traffic_view.rules import (
    AHEAD,
    KEPT,
    LATENESS,
    MOST,
    QUARTER,
    Key,
    Mark,
    Value,
    check,
    expired,
    is_late,
    marks,
    taken,
)

AT = datetime(2014, 1, 15, 7, 30, 1, tzinfo=UTC)
MICROS = "1389771001000000"


def item(
    segment: str, quarter: int, partition: int = 0, offset: int = 0, seconds: float = 1.0
) -> tuple[Key, Value]:
    start = quarter * QUARTER
    codes = {str(int((start + seconds) * 1e6)): 0}
    key = (segment, (start, start + QUARTER - 0.1))
    return key, {"v": 1, "place": [partition, offset], "codes": codes}


def test_a_window_is_keyed_by_observation() -> None:
    first = taken(None, AT, 1, (0, 7))
    assert first == {"v": 1, "place": [0, 7], "codes": {MICROS: 1}}
    again = taken(first, AT, 1, (0, 8))
    assert again["codes"] == first["codes"], "a repeat adds nothing"
    corrected = taken(again, AT, 2, (0, 9))
    assert corrected == {"v": 1, "place": [0, 9], "codes": {MICROS: 2}}
    more = taken(corrected, AT + timedelta(minutes=5), None, (0, 10))
    assert list(more["codes"].values()) == [2, None]
    assert corrected["codes"] == {MICROS: 2}, "what is there already is left as it is"


def test_a_window_is_bounded() -> None:
    value: Any = None
    for number in range(MOST):
        value = taken(value, AT + timedelta(microseconds=number), 0, (0, number))
    with pytest.raises(BadEvent, match=f"more than {MOST}"):
        taken(value, AT + timedelta(microseconds=MOST), 0, (0, MOST))
    assert len(taken(value, AT, 1, (0, MOST))["codes"]) == MOST, "a repeat still goes in"


@pytest.mark.parametrize(
    ("ahead", "fine"),
    [
        pytest.param(timedelta(0), True, id="now"),
        pytest.param(-timedelta(days=9999), True, id="long ago: data that is replayed"),
        pytest.param(AHEAD, True, id="as far ahead as clocks may be"),
        pytest.param(AHEAD + timedelta(microseconds=1), False, id="further"),
    ],
)
def test_the_future_is_refused(ahead: timedelta, fine: bool) -> None:
    if fine:
        check(AT + ahead, AT)
        return
    with pytest.raises(BadEvent, match="in the future"):
        check(AT + ahead, AT)


@pytest.mark.parametrize(
    ("newest", "late"),
    [
        pytest.param(float("-inf"), False, id="nothing was observed before"),
        pytest.param(900.0, False, id="the window just ended"),
        pytest.param(900.0 + LATENESS - 0.001, False, id="not yet an hour ago"),
        pytest.param(900.0 + LATENESS, True, id="an hour ago"),
    ],
)
def test_lateness(newest: float, late: bool) -> None:
    assert is_late(900.0, newest) is late


@pytest.mark.parametrize(
    ("items", "found"),
    [
        pytest.param([], {}, id="an empty table"),
        pytest.param([item("a", 0, 2, 5)], {2: Mark(6, 1.0)}, id="the next offset, the newest"),
        pytest.param(
            [item("a", 4, 0, 5, 10.0), item("b", 3, 0, 9), item("c", 9, 1, 0)],
            {0: Mark(10, 3610.0), 1: Mark(1, 8101.0)},
            id="offset and time of a partition may come from different windows",
        ),
    ],
)
def test_how_far_the_state_is(items: list[tuple[Key, Value]], found: dict[int, Mark]) -> None:
    assert marks(items) == found


DAY = int(KEPT / QUARTER)


@pytest.mark.parametrize(
    ("items", "dropped"),
    [
        pytest.param([], [], id="an empty table"),
        pytest.param([item("a", 0)], [], id="the newest stays, however old"),
        pytest.param([item("a", 0), item("a", DAY - 1)], [], id="not yet a day behind"),
        pytest.param([item("a", 0), item("b", DAY)], [("a", 0.0)], id="a day behind another's"),
        pytest.param([item("a", 0), item("b", DAY, 1)], [], id="of another partition"),
    ],
)
def test_windows_are_dropped_by_the_clock_of_events(
    items: list[tuple[Key, Value]], dropped: list[tuple[str, float]]
) -> None:
    assert [(segment, span[0]) for segment, span in expired(items)] == dropped
