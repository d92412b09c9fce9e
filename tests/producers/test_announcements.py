"""Events keep to their contracts, and say what was read."""

from datetime import UTC, date, datetime

import pytest

from producers.address_register.announcement import announcement, dated, moment
from producers.address_register.difference import Change, Kind
from producers.address_register.snapshot import Location, Row
from producers.counts.announcement import draft, quality
from producers.counts.station import Channel, Reading

ROW = Row(Location("Ackerstraße", "1", "A", "10115", "Mitte"), "01100309")


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        pytest.param(Kind.REGISTERED, "UNKNOWN", id="registered: built or forgotten, who knows"),
        pytest.param(Kind.RENAMED, "STREET_RENAMED", id="renamed: the street was"),
        pytest.param(Kind.RENUMBERED, "RENUMBERING", id="renumbered: the building was"),
        pytest.param(Kind.REASSIGNED, "UNKNOWN", id="another postcode: reform or correction"),
        pytest.param(Kind.WITHDRAWN, "UNKNOWN", id="withdrawn: torn down or corrected"),
    ],
)
def test_a_change_of_an_address(kind: Kind, cause: str) -> None:
    data = announcement(Change(kind, "some-id", ROW, ROW), "110000000000")
    assert dated(data, date(2023, 6, 30)) == {
        "address_id": "some-id",
        "municipality": "110000000000",
        "change": kind.value,
        "street": "Ackerstraße",
        "number": "1",
        "suffix": "A",
        "postcode": "10115",
        "place": "Mitte",
        "cause": cause,
        "valid_from": date(2023, 6, 30),
        "basis": "INFERRED",
        "corrects": None,
    }


def test_a_change_happened_when_its_day_began_there() -> None:
    assert moment(date(2023, 6, 30)) == datetime(2023, 6, 29, 22, tzinfo=UTC)


AT = datetime(2026, 6, 30, 22, tzinfo=UTC)


def reading(counted: int | None, status: str, *, cars: bool = False) -> Reading:
    return Reading("10", Channel("11", "Ring", cars), AT, counted, status)


def test_a_reading() -> None:
    event = draft("055150000000", "de.mun.055150000000.zaehlstellen", reading(5, "0"))
    assert event.time == AT
    assert event.data == {
        "municipality": "055150000000",
        "thing": "10",
        "datastream": "10:11",
        "observed_property": "bicycle-count",
        "phenomenon_time": AT,
        "interval_seconds": 900,
        "result": 5.0,
        "unit": "1",
        "quality": "VALID",
        "quality_flag": "0",
    }


def test_cars_are_another_property() -> None:
    event = draft("055150000000", "de.mun.055150000000.x", reading(5, "0", cars=True))
    assert event.data["observed_property"] == "car-count"


@pytest.mark.parametrize(
    ("counted", "status", "expected"),
    [
        pytest.param(5, "0", "VALID", id="a raw count"),
        pytest.param(0, "0", "VALID", id="nobody came: a count like any other"),
        pytest.param(5, "4", "UNKNOWN", id="a status that nobody explained"),
        pytest.param(5, "", "UNKNOWN", id="a count without a status"),
        pytest.param(None, "", "MISSING", id="a gap"),
        pytest.param(None, "0", "MISSING", id="a gap, whatever its status"),
    ],
)
def test_quality(counted: int | None, status: str, expected: str) -> None:
    assert quality(reading(counted, status)) == expected
    flag = draft("055150000000", "de.mun.055150000000.x", reading(counted, status)).data
    assert flag["quality_flag"] == (status or None)
