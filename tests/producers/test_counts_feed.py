"""Several stations in the order of time, from where the last run stopped, under lasting ids."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from bus.errors import InvalidInput
from producers.counts.announcement import identity
from producers.counts.feed import Cell, feed
from producers.counts.position import Positions
from producers.counts.station import Channel, Reading

BERLIN = ZoneInfo("Europe/Berlin")


def station(folder: Path, name: str, ids: str, *rows: str) -> Path:
    """Write a station's file; a row is ``HH:MM,count,…``."""
    channels = ids.split(",")
    header = ["Datetime", *(f"{id_} (Ring)" for id_ in channels)]
    header += [f"{id_}-status" for id_ in channels]
    lines = [f"2026-07-01 {row}{',0' * len(channels)}" for row in rows]
    path = folder / name
    path.write_text("\n".join([",".join(header), *lines, ""]), encoding="utf-8")
    return path


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return station(tmp_path, "one.csv", "10,11", "00:00,1,2", "00:15,3,4", "00:30,5,6")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return station(tmp_path, "other.csv", "20", "00:00,7", "00:20,8")


def unread(paths: list[Path], state: Path, *, settle: int = 0) -> list[int | None]:
    """Return the counts of what is still to be published, and settle the first of them."""
    refusals: list[InvalidInput] = []
    with Positions(state) as positions:
        cells = list(feed(paths, positions, BERLIN, refusals.append))
        positions.advance({cell.file: (cell.channels, cell.cells) for cell in cells[:settle]})
    assert refusals == []
    return [cell.reading.counted for cell in cells]


def test_stations_are_merged_by_time(one: Path, other: Path, tmp_path: Path) -> None:
    assert unread([one, other], tmp_path / "s") == [1, 2, 7, 3, 4, 8, 5, 6]


@pytest.mark.parametrize("settled", range(9))
def test_a_run_goes_on_after_what_was_acknowledged(
    one: Path, other: Path, tmp_path: Path, settled: int
) -> None:
    before = unread([one, other], tmp_path / "s", settle=settled)
    assert unread([one, other], tmp_path / "s") == before[settled:]


def test_a_file_that_grew_brings_only_what_is_new(one: Path, tmp_path: Path) -> None:
    assert unread([one], tmp_path / "s", settle=6) == [1, 2, 3, 4, 5, 6]
    with one.open("a") as file:
        file.write("2026-07-01 00:45,9,9,0,0\n")
    assert unread([one], tmp_path / "s") == [9, 9]


def test_a_file_that_shrank_is_refused(one: Path, tmp_path: Path) -> None:
    unread([one], tmp_path / "s", settle=6)
    one.write_text("".join(one.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(InvalidInput, match="has 2 rows, but 3 were published"):
        unread([one], tmp_path / "s")


def test_other_channels_under_the_same_name_are_refused(one: Path, tmp_path: Path) -> None:
    unread([one], tmp_path / "s", settle=2)
    station(tmp_path, "one.csv", "10,12", "00:00,1,2")
    with pytest.raises(InvalidInput, match="has the channels 10,12, but had 10,11"):
        unread([one], tmp_path / "s")


def test_two_files_of_one_name_are_refused(one: Path, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    twin = station(tmp_path / "deep", "one.csv", "10", "00:00,1")
    with pytest.raises(InvalidInput, match="same name"):
        unread([one, twin], tmp_path / "s")


def test_a_refused_row_is_told_of_when_its_turn_comes(one: Path, tmp_path: Path) -> None:
    with one.open("a") as file:
        file.write("2026-07-01 00:45,x,9,0,0\n2026-07-01 01:00,7,8,0,0\n")
    refusals: list[InvalidInput] = []
    with Positions(tmp_path / "s") as positions:
        cells: list[Cell] = list(feed([one], positions, BERLIN, refusals.append))
    assert [cell.reading.counted for cell in cells][-2:] == [7, 8]
    assert [error.where for error in refusals] == [f"{one}:5"]


READING = Reading("10", Channel("11", "Ring", False), datetime(2026, 7, 1, tzinfo=UTC), 5, "0")


def test_the_same_reading_has_the_same_id() -> None:
    assert identity("a", READING) == identity("a", READING)


@pytest.mark.parametrize(
    ("source", "reading"),
    [
        pytest.param("b", READING, id="another source"),
        pytest.param("a", READING._replace(counted=6), id="a corrected count"),
        pytest.param("a", READING._replace(counted=None), id="a gap"),
        pytest.param("a", READING._replace(status="1"), id="another status"),
        pytest.param("a", READING._replace(station="20"), id="another station"),
    ],
)
def test_what_says_something_else_has_another_id(source: str, reading: Reading) -> None:
    assert identity("a", READING) != identity(source, reading)


def test_an_id_is_a_uuid_of_version_7_at_the_time_of_the_reading() -> None:
    made = UUID(identity("a", READING))
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == int(READING.at.timestamp() * 1000)
