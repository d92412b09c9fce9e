"""Repeats are known as long as the window reaches."""

from datetime import UTC, datetime

from bus.event import Event
from bus.subscriber.window import Window

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def event(number: int, source: str = "urn:stadtbus:de.mun.055150000000.a") -> Event:
    return Event(topic="t", key="k", data={}, id=str(number), source=source, time=NOW)


def test_an_event_is_known_by_source_and_id() -> None:
    window = Window()
    window.add(event(1))
    assert event(1) in window
    assert event(2) not in window
    assert event(1, "urn:stadtbus:de.mun.055150000000.b") not in window


def test_the_oldest_is_forgotten_first() -> None:
    window = Window(2)
    for number in range(3):
        window.add(event(number))
    assert [number for number in range(3) if event(number) in window] == [1, 2]


def test_what_was_refused_may_come_again() -> None:
    window = Window()
    window.add(event(1))
    window.discard(event(1))
    assert event(1) not in window
