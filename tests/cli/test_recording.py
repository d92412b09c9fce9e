"""Köln's mornings in the demo: the real one first, and none that is still to come."""

from datetime import UTC, date, datetime
from pathlib import Path

from bus.cli.demo.recording import Recording
from producers.traffic.observation import lines

SHIPPED = Path(__file__).parents[2] / "producers/traffic/data/load_2014-01-15_05-11.csv"
TEXT = SHIPPED.read_text(encoding="utf-8")


def test_the_first_morning_is_what_was_recorded(tmp_path: Path) -> None:
    recording = Recording.open(tmp_path, TEXT)
    assert recording.day == date(2014, 1, 15)
    assert recording.file.read_text(encoding="utf-8") == TEXT


def test_a_later_morning_has_later_dates_and_nothing_else_is_changed(tmp_path: Path) -> None:
    recording = Recording.open(tmp_path, TEXT)
    recorded = [line.observation for line in lines(SHIPPED)]
    assert all(recording.turn() for _ in range(20))
    later = [line.observation for line in lines(recording.file)]
    assert recording.day == date(2014, 2, 4)
    assert [(one.at.date(), one.at.time(), *one[1:]) for one in later if one] == [
        (date(2014, 2, 4), one.at.time(), *one[1:]) for one in recorded if one
    ]
    assert list(tmp_path.iterdir()) == [recording.file]


def test_it_goes_on_with_the_morning_that_it_was_at(tmp_path: Path) -> None:
    first = Recording.open(tmp_path, TEXT)
    first.turn()
    assert Recording.open(tmp_path, TEXT).file == first.file


def test_no_morning_is_still_to_come(tmp_path: Path) -> None:
    recording = Recording.open(tmp_path, TEXT)
    assert recording.turn(datetime(2014, 1, 17, tzinfo=UTC))
    assert not recording.turn(datetime(2014, 1, 17, 23, tzinfo=UTC))
    assert recording.day == date(2014, 1, 16)
