"""What a register remembers between two runs."""

import sqlite3
from datetime import date
from pathlib import Path

import pytest

from bus.errors import StorageInUse, StorageUnusable
from producers.address_register.difference import difference
from producers.address_register.snapshot import Location, Row, Snapshot
from producers.address_register.state import State, new_address_id

FIRST, SECOND = date(2026, 1, 31), date(2026, 2, 28)


def row(number: int, area: str = "1") -> Row:
    return Row(Location("Allee", str(number), "", "10115", "Mitte"), area)


def take_over(state: State, day: date, *rows: Row) -> int:
    """Accept a snapshot and return how many changes it brought."""
    former = state.former()
    changes = difference(state.known(), rows, lambda at: former.get(at) or new_address_id())
    state.accept(Snapshot(day, rows), changes, [{"kind": change.kind} for change in changes])
    return len(changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "state.sqlite"


def test_a_snapshot_is_kept(path: Path) -> None:
    with State(path) as state:
        assert take_over(state, FIRST, row(1), row(2)) == 2
    with State(path) as state:
        assert take_over(state, SECOND, row(1), row(2)) == 0
        assert set(state.known().values()) == {row(1), row(2)}
        assert state.last_day() == SECOND


def test_what_is_pending_keeps_its_event_ids_until_it_is_settled(path: Path) -> None:
    with State(path) as state:
        take_over(state, FIRST, row(1), row(2), row(3))
        before = state.pending(10)
        state.settle(before[:1])
    with State(path) as state:
        assert state.pending(10) == before[1:]
        assert state.pending(1) == before[1:2]


def test_an_address_that_comes_back_keeps_its_id(path: Path) -> None:
    with State(path) as state:
        take_over(state, FIRST, row(1), row(2))
        (known,) = (key for key, at in state.known().items() if at == row(2))
        take_over(state, SECOND, row(1))
        take_over(state, SECOND, row(1), row(2))
        assert state.known()[known] == row(2)


def test_another_area_is_remembered_without_an_event(path: Path) -> None:
    with State(path) as state:
        take_over(state, FIRST, row(1))
        assert take_over(state, SECOND, row(1, area="2")) == 0
        assert list(state.known().values()) == [row(1, area="2")]


def test_a_failure_halfway_leaves_nothing_behind(path: Path) -> None:
    changes = difference({}, [row(1)], str)
    with State(path) as state:
        with pytest.raises(TypeError):
            state.accept(Snapshot(FIRST, (row(1),)), changes, [{"kind": object()}])
        assert (state.known(), state.pending(1), state.last_day()) == ({}, [], None)


def test_one_process_at_a_time(path: Path) -> None:
    with State(path), pytest.raises(StorageInUse, match="another process"):
        State(path)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    path.write_text("hnr,hnr_zusatz\n" * 100)
    with pytest.raises(StorageUnusable, match="not a database"):
        State(path)


def test_a_file_of_a_newer_version(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StorageUnusable, match="of version 99"):
        State(path)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StorageUnusable, match="unable to open"):
        State(tmp_path)
