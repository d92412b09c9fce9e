"""What events do to the address book, in whatever order they come."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, select

from bus.errors import BadEvent
from bus.event import Event
from consumers.address_book.book import Book

JANUARY, MARCH, MAY = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 3, 5))
BOOK = Book.named()


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        BOOK.create(connection)
        yield connection
    engine.dispose()


def event(
    name: str, change: str | None, number: str, time: datetime, *, corrects: str | None = None
) -> Event:
    data: dict[str, Any] | None = None
    if change:
        data = {
            "address_id": "a",
            "municipality": "110000000000",
            "change": change,
            "street": "Allee",
            "number": number,
            "suffix": None,
            "postcode": "10115",
            "place": "Mitte",
            "cause": "UNKNOWN",
            "valid_from": date(2026, 1, 1),
            "basis": "INFERRED",
            "corrects": corrects,
        }
    return Event(
        topic="address.building-changed.v1",
        key="a",
        data=data,
        id=name,
        source="urn:stadtbus:de.mun.110000000000.adressregister",
        time=time,
    )


BORN = event("born", "REGISTERED", "1", JANUARY)
MOVED = event("moved", "RENUMBERED", "2", MARCH)
GONE = event("gone", "WITHDRAWN", "2", MAY)
ERASED = event("erased", None, "", MAY)


@pytest.mark.parametrize("size", [pytest.param(1, id="one by one"), pytest.param(9, id="at once")])
@pytest.mark.parametrize(
    ("events", "numbers"),
    [
        pytest.param([BORN], ["1"], id="registered: it is there"),
        pytest.param([BORN, MOVED], ["2"], id="renumbered: it says so"),
        pytest.param([BORN, MOVED, GONE], [], id="withdrawn: it is no longer there"),
        pytest.param([MOVED, BORN], ["2"], id="what comes late does not replace what is newer"),
        pytest.param([BORN, GONE, MOVED], [], id="what comes late brings nothing back"),
        pytest.param([GONE, event("again", "REGISTERED", "2", MAY)], ["2"],
                     id="registered again on the day it was withdrawn: it is back"),
        pytest.param([BORN, event("other", "REGISTERED", "3", JANUARY)], ["3"],
                     id="of two at the same time the later one to come counts"),
        pytest.param([MOVED, event("right", "REGISTERED", "4", JANUARY, corrects="moved")], ["4"],
                     id="a correction of what is known counts, though it is dated back"),
        pytest.param([BORN, MOVED, event("right", "REGISTERED", "4", JANUARY, corrects="born")],
                     ["2"], id="a correction of what was replaced changes nothing"),
        pytest.param(
            [event("x", "RENUMBERED", "5", MAY),
             event("right", "REGISTERED", "4", JANUARY, corrects="x"), MOVED],
            ["4"], id="what was replaced already does not win against a correction"),
        pytest.param([BORN, ERASED], [], id="a tombstone removes it"),
        pytest.param([BORN, GONE, ERASED, MOVED], ["2"], id="a tombstone forgets that it was gone"),
    ],
)  # fmt: skip
def test_the_book_holds_what_is_in_force(
    connection: Connection, events: list[Event], numbers: list[str], size: int
) -> None:
    for start in range(0, len(events), size):
        BOOK.apply(connection, events[start : start + size])
    assert connection.execute(select(BOOK.current.c.number)).scalars().all() == numbers


def test_a_row_counts_the_events_that_shaped_it(connection: Connection) -> None:
    effects = [BOOK.apply(connection, [each]) for each in (BORN, BORN, MOVED, BORN, GONE)]
    assert effects == [1, 0, 1, 0, 1]
    assert connection.execute(select(BOOK.withdrawn.c.revision)).scalar_one() == 3


def test_an_unknown_change_is_a_bad_event(connection: Connection) -> None:
    with pytest.raises(BadEvent, match="what happened"):
        BOOK.apply(connection, [BORN, event("new", "UNKNOWN", "1", MAY)])


def test_one_book_takes_over_another(connection: Connection) -> None:
    other = Book.named("_rebuild")
    other.create(connection)
    BOOK.apply(connection, [BORN])
    other.apply(connection, [MOVED])
    BOOK.take_over(connection, other)
    other.drop(connection)
    assert connection.execute(select(BOOK.current.c.number)).scalars().all() == ["2"]
