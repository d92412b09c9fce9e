"""Days of Europe/Berlin, also those of 23 and 25 hours."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from consumers.count_report.day import day_of, intervals

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("day", "quarters"),
    [
        pytest.param(date(2026, 3, 29), 92, id="summer time begins: 23 hours"),
        pytest.param(date(2026, 7, 1), 96, id="any other day: 24 hours"),
        pytest.param(date(2026, 10, 25), 100, id="summer time ends: 25 hours"),
    ],
)
def test_quarters_of_an_hour_in_a_day(day: date, quarters: int) -> None:
    assert intervals(day, 900, BERLIN) == quarters


@pytest.mark.parametrize(
    ("at", "day"),
    [
        pytest.param("2026-06-30 22:00", "2026-07-01", id="summer: midnight is 22 h UTC"),
        pytest.param("2026-06-30 21:45", "2026-06-30", id="summer: before midnight"),
        pytest.param("2026-01-01 23:00", "2026-01-02", id="winter: midnight is 23 h UTC"),
        pytest.param("2026-10-25 22:45", "2026-10-25", id="the last quarter of a long day"),
    ],
)
def test_the_day_of_a_moment(at: str, day: str) -> None:
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert day_of(moment, BERLIN) == date.fromisoformat(day)
