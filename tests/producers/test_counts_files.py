"""Local times without offset, and what is refused in a counting station's file."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import InvalidInput
from producers.counts.clock import NoSuchTime, in_utc
from producers.counts.station import Line, channels, lines

BERLIN = ZoneInfo("Europe/Berlin")
HEADER = "Datetime,10 (Ring),11 (Ring Radfahrer),12 (Ring Kfz),10-status,11-status,12-status"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("local", "after", "expected"),
    [
        pytest.param("2026-07-01 00:00", None, "2026-06-30 22:00", id="summer: two hours ahead"),
        pytest.param("2026-01-01 00:00", None, "2025-12-31 23:00", id="winter: one hour ahead"),
        pytest.param("2026-10-25 02:15", None, "2026-10-25 00:15",
                     id="the repeated hour means its first occurrence"),
        pytest.param("2026-10-25 02:15", "2026-10-25 00:00", "2026-10-25 00:15",
                     id="still the first occurrence after the row before"),
        pytest.param("2026-10-25 02:00", "2026-10-25 00:45", "2026-10-25 01:00",
                     id="going back from 02:45 to 02:00 begins the second occurrence"),
        pytest.param("2026-10-25 03:00", "2026-10-25 01:45", "2026-10-25 02:00",
                     id="three o'clock comes once"),
        pytest.param("2026-03-29 01:45", None, "2026-03-29 00:45", id="before summer time began"),
        pytest.param("2026-03-29 03:00", "2026-03-29 00:45", "2026-03-29 01:00",
                     id="after summer time began"),
    ],
)  # fmt: skip
def test_local_times(local: str, after: str | None, expected: str) -> None:
    at = in_utc(datetime.fromisoformat(local), BERLIN, utc(after) if after else None)
    assert at == utc(expected)


@pytest.mark.parametrize(
    ("local", "after", "reason"),
    [
        pytest.param("2026-03-29 02:00", None, "does not exist", id="the hour that is skipped"),
        pytest.param("2026-07-01 00:00", "2026-06-30 22:00", "not after", id="the same time twice"),
        pytest.param("2026-07-01 00:00", "2026-07-02 22:00", "not after", id="back in time"),
        pytest.param("2026-10-25 02:00", "2026-10-25 01:00", "not after",
                     id="the repeated hour for a third time"),
    ],
)  # fmt: skip
def test_times_that_cannot_be_told(local: str, after: str | None, reason: str) -> None:
    with pytest.raises(NoSuchTime, match=reason):
        in_utc(datetime.fromisoformat(local), BERLIN, utc(after) if after else None)


@given(st.integers(0, 365 * 24 * 4), st.integers(1, 400))
def test_complete_rows_are_told_apart_in_any_quarter_of_an_hour(start: int, length: int) -> None:
    first = utc("2026-01-01 00:00") + timedelta(minutes=15) * start
    true = [first + timedelta(minutes=15) * n for n in range(length)]
    told: list[datetime] = []
    for at in true:
        local = at.astimezone(BERLIN).replace(tzinfo=None)
        told.append(in_utc(local, BERLIN, told[-1] if told else None))
    # A file that begins inside the second occurrence of the repeated hour has no row before it.
    second = first.astimezone(BERLIN).fold == 1
    assert told == true or (second and told[0] == true[0] - timedelta(hours=1))


def day_file(folder: Path, day: str) -> Path:
    """Write a made-up file of one whole local day, whose counts number the rows."""
    at = datetime.fromisoformat(day).replace(tzinfo=BERLIN).astimezone(UTC)
    rows: list[str] = []
    while (local := at.astimezone(BERLIN)).date().isoformat() == day:
        rows.append(f"{local:%Y-%m-%d %H:%M},{len(rows)},,,0,,")
        at += timedelta(minutes=15)
    path = folder / "10.csv"
    path.write_text("\r\n".join([HEADER, *rows]) + "\r\n", encoding="utf-8-sig")
    return path


@pytest.mark.parametrize(
    ("day", "intervals"),
    [
        pytest.param("2026-03-29", 92, id="the day that loses an hour"),
        pytest.param("2026-07-01", 96, id="any other day"),
        pytest.param("2026-10-25", 100, id="the day that gains an hour"),
    ],
)
def test_a_day_has_no_holes_and_no_repeats(tmp_path: Path, day: str, intervals: int) -> None:
    read = list(lines(day_file(tmp_path, day), BERLIN))
    times = [line.at for line in read if line.at]
    assert [line.refusal for line in read] == [None] * intervals
    assert times == [times[0] + timedelta(minutes=15) * n for n in range(intervals)]


def station(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "station.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_channels_are_told_apart_by_name(tmp_path: Path) -> None:
    found = channels(station(tmp_path))
    assert [(channel.id, channel.cars) for channel in found] == [
        ("10", False), ("11", False), ("12", True)
    ]  # fmt: skip


def test_gaps_and_flags_are_kept(tmp_path: Path) -> None:
    (line,) = lines(station(tmp_path, "2026-07-01 00:00,3,,1,0,,4"), BERLIN)
    assert [(reading.counted, reading.status) for reading in line.readings] == [
        (3, "0"), (None, ""), (1, "4")
    ]  # fmt: skip


GOOD = "2026-07-01 00:15,1,1,1,0,0,0"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param("2026-03-29 02:15,1,1,1,0,0,0", "does not exist", id="the skipped hour"),
        pytest.param("2026-07-01 00:00,1,1,1,0,0", "has 6 fields", id="a field missing"),
        pytest.param("2026-07-01 00:00,x,1,1,0,0,0", '"x", wanted a count', id="no number"),
        pytest.param("2026-07-01 00:00,-1,1,1,0,0,0", '"-1", wanted a count', id="less than none"),
        pytest.param("1.7.2026 00:00,1,1,1,0,0,0", "wanted YYYY", id="another way to write a date"),
        pytest.param("", "wanted YYYY", id="an empty line"),
    ],
)
def test_a_bad_row_is_refused_and_the_next_goes_on(tmp_path: Path, row: str, reason: str) -> None:
    path = station(tmp_path, row, GOOD)
    first, second = lines(path, BERLIN)
    assert isinstance(first.refusal, InvalidInput)
    assert reason in first.refusal.what
    assert first.refusal.where == f"{path}:2"
    assert (len(second.readings), second.refusal) == (3, None)


def test_a_refused_count_does_not_shift_the_repeated_hour(tmp_path: Path) -> None:
    path = station(tmp_path, "2026-10-25 02:00,x,,,,,", "2026-10-25 02:00,1,,,,,")
    read: list[Line] = list(lines(path, BERLIN))
    assert [line.at for line in read] == [utc("2026-10-25 00:00"), utc("2026-10-25 01:00")]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        pytest.param("", "first column", id="an empty first line"),
        pytest.param("Time,10 (Ring),10-status", "first column", id="no Datetime"),
        pytest.param("Datetime", "status column", id="no channel"),
        pytest.param("Datetime,Ring,Ring-status", '"Ring" is not', id="a channel without a number"),
        pytest.param("Datetime,10 (Ring),11 (Kfz),10-status", "status column", id="status missing"),
        pytest.param("Datetime,10 (Ring),11-status", "status column", id="another one's status"),
    ],
)
def test_a_file_that_is_no_station(tmp_path: Path, header: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        list(lines(station(tmp_path, header=header), BERLIN))


def test_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes(f"{HEADER}\n".encode() + "2026-07-01 00:00,ä,1,1,0,0,0\n".encode("latin1"))
    with pytest.raises(InvalidInput, match="not UTF-8") as caught:
        list(lines(path, BERLIN))
    assert caught.value.where == f"{path}:2"


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        list(lines(tmp_path / "none.csv", BERLIN))
