"""Daily totals: every reading once, gaps as coverage, the right length of every day."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine

from bus.errors import BadEvent
from bus.event import Event
from consumers.count_report.totals import METADATA, Total, keep, streams, totals

MIDNIGHT = datetime(2026, 6, 30, 22, tzinfo=UTC)
"""When 1 July began in Münster."""


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        METADATA.create_all(connection)
        yield connection
    engine.dispose()


def reading(channel: str, quarter: int, result: float | None, **other: Any) -> Event:
    at = other.pop("begin", MIDNIGHT) + timedelta(minutes=15) * quarter
    data = {
        "municipality": "055150000000",
        "thing": "10",
        "datastream": f"10:{channel}",
        "observed_property": "bicycle-count",
        "phenomenon_time": at,
        "interval_seconds": 900,
        "result": result,
        "unit": "1",
        "quality": "VALID",
        "quality_flag": None,
    } | other
    return Event(
        topic="sensor.reading.v1",
        key=f"10%3A{channel}",
        data=data,
        id="019f1a52-7c00-7a3e-8b1d-3f1c9a2b4d5e",
        source="urn:stadtbus:de.mun.055150000000.zaehlstellen",
        time=at,
    )


def total(connection: Connection) -> list[Total]:
    return totals(streams(connection))


def test_the_channels_of_a_station_are_added_up(connection: Connection) -> None:
    for event in (reading("11", 0, 3), reading("12", 0, 4), reading("11", 1, 5)):
        keep(connection, [event])
    (day,) = total(connection)
    assert (day.station, day.counted, day.day) == ("10", "bicycles", date(2026, 7, 1))
    assert (day.total, day.readings, day.expected) == (12, 3, 2 * 96)


def test_a_station_s_own_total_is_not_added_to_its_channels(connection: Connection) -> None:
    for event in (reading("10", 0, 7), reading("11", 0, 3), reading("12", 0, 4)):
        keep(connection, [event])
    (day,) = total(connection)
    assert (day.total, day.readings, day.expected) == (7, 1, 96)


def test_a_reading_that_comes_again_is_counted_once(connection: Connection) -> None:
    for _ in range(3):
        keep(connection, [reading("11", 0, 3)])
    assert [day.total for day in total(connection)] == [3]


def test_a_corrected_reading_takes_the_place_of_the_first(connection: Connection) -> None:
    keep(connection, [reading("11", 0, 3)])
    keep(connection, [reading("11", 0, 30)])
    assert [day.total for day in total(connection)] == [30]


def test_of_two_in_one_batch_the_later_one_counts(connection: Connection) -> None:
    keep(connection, [reading("11", 0, 3), reading("11", 1, 5), reading("11", 0, 30)])
    assert [day.total for day in total(connection)] == [35]


def test_a_gap_lowers_the_coverage_and_not_the_total(connection: Connection) -> None:
    for quarter in range(96):
        keep(connection, [reading("11", quarter, None if quarter < 4 else 1)])
    (day,) = total(connection)
    assert (day.total, day.readings, day.expected) == (92, 92, 96)


def test_bicycles_and_cars_are_counted_apart(connection: Connection) -> None:
    keep(connection, [reading("11", 0, 3)])
    keep(connection, [reading("12", 0, 50, observed_property="car-count")])
    assert [(day.counted, day.total) for day in total(connection)] == [
        ("bicycles", 3), ("cars", 50)
    ]  # fmt: skip


def test_other_properties_are_none_of_ours(connection: Connection) -> None:
    keep(connection, [reading("11", 0, 21.5, observed_property="air-temperature")])
    assert total(connection) == []


def test_two_cities_may_use_the_same_numbers(connection: Connection) -> None:
    keep(connection, [reading("11", 0, 3)])
    keep(connection, [reading("11", 0, 4, municipality="092720140140")])
    assert [day.total for day in total(connection)] == [3, 4]


@pytest.mark.parametrize(
    ("begin", "quarters"),
    [
        pytest.param(datetime(2026, 3, 28, 23, tzinfo=UTC), 92, id="a day of 23 hours"),
        pytest.param(datetime(2026, 7, 7, 22, tzinfo=UTC), 96, id="a day of 24 hours"),
        pytest.param(datetime(2026, 10, 24, 22, tzinfo=UTC), 100, id="a day of 25 hours"),
    ],
)
def test_days_begin_and_end_at_midnight_there(
    connection: Connection, begin: datetime, quarters: int
) -> None:
    for quarter in range(-4, quarters + 4):
        keep(connection, [reading("11", quarter, 1, begin=begin)])
    before, day, after = total(connection)
    assert (before.total, after.total) == (4, 4)
    assert (day.total, day.readings, day.expected) == (quarters, quarters, quarters)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        pytest.param({"interval_seconds": 0}, "interval_seconds", id="over no time"),
        pytest.param({"result": float("inf")}, "result", id="without an end"),
        pytest.param({"result": float("nan")}, "result", id="no number"),
        pytest.param(
            {"phenomenon_time": datetime(9999, 12, 31, 23, 59, tzinfo=UTC)},
            "phenomenon_time",
            id="on the last day of the calendar",
        ),
        pytest.param(
            {"phenomenon_time": datetime(1, 1, 1, tzinfo=UTC)},
            "phenomenon_time",
            id="on the first day of the calendar",
        ),
    ],
)
def test_what_is_part_of_no_day_is_a_bad_event(
    connection: Connection, changes: dict[str, Any], where: str
) -> None:
    with pytest.raises(BadEvent) as refused:
        keep(connection, [reading("11", 0, **({"result": 1.0} | changes))])
    assert refused.value.where == where
    assert streams(connection) == []
