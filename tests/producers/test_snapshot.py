"""What is refused in a snapshot's file, and that file and line are named."""

from datetime import date
from pathlib import Path

import pytest

from bus.errors import InvalidInput
from producers.address_register.difference import Change, Kind
from producers.address_register.prudence import check
from producers.address_register.snapshot import Location, Row, Snapshot, day_of, read

DAY = date(2026, 1, 31)
HEADER = "hnr,hnr_zusatz,str_name,plz,ort_name,PLR_NAME,PLR_ID"
GOOD = "1,A,Ackerstraße,10115,Mitte,Oranienburger Straße,01100309"


def file(folder: Path, *lines: str, encoding: str = "utf-8", end: str = "\n") -> Path:
    path = folder / "addresses.csv"
    path.write_bytes(end.join([*lines, ""]).encode(encoding))
    return path


@pytest.mark.parametrize(
    ("encoding", "end"),
    [
        pytest.param("utf-8", "\n", id="UTF-8"),
        pytest.param("utf-8-sig", "\n", id="UTF-8 with a byte order mark"),
        pytest.param("utf-8", "\r\n", id="lines that end as on Windows"),
    ],
)
def test_a_snapshot(tmp_path: Path, encoding: str, end: str) -> None:
    snapshot = read(file(tmp_path, HEADER, GOOD, encoding=encoding, end=end), DAY)
    location = Location("Ackerstraße", "1", "A", "10115", "Mitte")
    assert snapshot == Snapshot(DAY, (Row(location, "01100309"),))


def test_a_square_without_numbers(tmp_path: Path) -> None:
    snapshot = read(
        file(tmp_path, HEADER, ",,Pappelplatz,10115,Mitte,Invalidenstraße,01100415"), DAY
    )
    assert snapshot.rows[0].location == Location("Pappelplatz", "", "", "10115", "Mitte")


def test_columns_may_come_in_any_order_and_more_of_them(tmp_path: Path) -> None:
    path = file(
        tmp_path, "x,PLR_ID,ort_name,plz,str_name,hnr_zusatz,hnr", "?,1,Mitte,10115,Allee,,7"
    )
    assert read(path, DAY).rows == (Row(Location("Allee", "7", "", "10115", "Mitte"), "1"),)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param("x,,Allee,10115,Mitte,P,1", 'hnr is "x"', id="a number that is none"),
        pytest.param("0,,Allee,10115,Mitte,P,1", 'hnr is "0"', id="number nought"),
        pytest.param(",A,Allee,10115,Mitte,P,1", "since there is a hnr_zusatz", id="only a suffix"),
        pytest.param("1,a b c,Allee,10115,Mitte,P,1", "hnr_zusatz", id="a suffix that is none"),
        pytest.param("1,,,10115,Mitte,P,1", "str_name", id="no street"),
        pytest.param("1,,Allee,1011,Mitte,P,1", 'plz is "1011"', id="a postcode of four digits"),
        pytest.param("1,,Allee,10115,,P,1", "ort_name", id="no place"),
        pytest.param("1,,Allee,10115", "number of fields", id="a line that was cut"),
        pytest.param("1,,Allee,10115,Mitte,P,1,2", "number of fields", id="a field too many"),
        pytest.param(GOOD, "repeats the address of line 2", id="an address twice"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, reason: str) -> None:
    path = file(tmp_path, HEADER, GOOD, line)
    with pytest.raises(InvalidInput, match=reason) as caught:
        read(path, DAY)
    assert caught.value.where == f"{path}:3"


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = file(tmp_path, "hnr,str_name,plz,ort_name,PLR_ID", "1,Allee,10115,Mitte,1")
    with pytest.raises(InvalidInput, match="lacks the column hnr_zusatz") as caught:
        read(path, DAY)
    assert caught.value.where == f"{path}:1"


def test_an_empty_file_lacks_its_columns(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="lacks the columns hnr, hnr_zusatz"):
        read(file(tmp_path), DAY)


def test_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    path = file(tmp_path, HEADER, GOOD, encoding="latin1")
    with pytest.raises(InvalidInput, match="not UTF-8: byte 0xdf") as caught:
        read(path, DAY)
    assert caught.value.where == f"{path}:2"


def test_a_quote_that_never_ends(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is no CSV"):
        read(file(tmp_path, HEADER, '"1,A,Ackerstraße'), DAY)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        read(tmp_path / "none.csv", DAY)


def test_the_day_in_a_file_name() -> None:
    assert day_of(Path("addresses-2023-06-30.csv")) == date(2023, 6, 30)


@pytest.mark.parametrize(
    "name", ["addresses.csv", "2023-13-01.csv", "2023-06-30_2023-07-01.csv", "12023-06-301.csv"]
)
def test_names_that_hold_no_day(name: str) -> None:
    with pytest.raises(InvalidInput, match="--date"):
        day_of(Path(name))


def withdrawal(n: int) -> Change:
    row = Row(Location("Allee", str(n), "", "10115", "Mitte"), "1")
    return Change(Kind.WITHDRAWN, str(n), row, row)


ONE = Snapshot(DAY, (withdrawal(1).row,))


@pytest.mark.parametrize(
    ("snapshot", "withdrawn", "allow", "reason"),
    [
        pytest.param(ONE, 2, "", None, id="a fifth may go"),
        pytest.param(ONE, 3, "", "3 of 10 addresses, more than 20%", id="more than a fifth"),
        pytest.param(ONE, 3, "shrink", None, id="more than a fifth, as is meant"),
        pytest.param(ONE, 3, "empty", "3 of 10", id="leave to be empty is no leave to shrink"),
        pytest.param(Snapshot(DAY, ()), 10, "", "holds no address", id="empty"),
        pytest.param(Snapshot(DAY, ()), 10, "shrink", "holds no address",
                     id="leave to shrink is no leave to be empty"),
        pytest.param(Snapshot(DAY, ()), 10, "empty", None, id="empty, as is meant"),
    ],
)  # fmt: skip
def test_a_file_that_was_cut_withdraws_nobody(
    snapshot: Snapshot, withdrawn: int, allow: str, reason: str | None
) -> None:
    changes = [withdrawal(n) for n in range(withdrawn)]

    def refused() -> str | None:
        try:
            check(Path("a.csv"), snapshot, 10, changes,
                  allow_empty=allow == "empty", allow_shrink=allow == "shrink")  # fmt: skip
        except InvalidInput as error:
            return error.what
        return None

    said = refused()
    assert said is None if reason is None else reason in (said or "")
