"""Reads a snapshot of an address register: one CSV file that lists every address once."""

import csv
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

from bus.errors import InvalidInput
from producers.table import opened

COLUMNS = ("hnr", "hnr_zusatz", "str_name", "plz", "ort_name", "PLR_ID")
_NUMBER = re.compile(r"[1-9][0-9]{0,4}")
_SUFFIX = re.compile(r"[\w/-]{0,8}")
_POSTCODE = re.compile(r"[0-9]{5}")
_DATE_IN_NAME = re.compile(r"(?<!\d)(\d{4}-\d{2}-\d{2})(?!\d)")


class Location(NamedTuple):
    """What an address says; two addresses never say the same.

    A place without house numbers, such as a square, has an empty number and suffix.
    """

    street: str
    number: str
    suffix: str
    postcode: str
    place: str


class Row(NamedTuple):
    """One line of a snapshot: an address, and the statistical area that it lies in."""

    location: Location
    area: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A register as it was on one day."""

    day: date
    rows: tuple[Row, ...]


def read(path: Path, day: date) -> Snapshot:
    """Read a snapshot's file: UTF-8, with or without a byte order mark.

    Args:
        path: the file.
        day: the day that the snapshot shows.

    Raises:
        InvalidInput: the file cannot be read, is not UTF-8, lacks a column, or has a line that is
            no address or that repeats an earlier one.
    """
    with opened(path) as file:
        lines = csv.DictReader(file, strict=True)
        _check_columns(path, lines.fieldnames or ())
        return Snapshot(day, tuple(_rows(path, lines)))


def day_of(path: Path) -> date:
    """Return the day that a file's name holds, as in ``addresses-2023-06-30.csv``.

    Raises:
        InvalidInput: the name holds no date, or more than one.
    """
    found = _DATE_IN_NAME.findall(path.name)
    try:
        (text,) = found
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            "the file's name holds no single date (YYYY-MM-DD)",
            where=str(path),
            remedy="say with --date which day the snapshot shows",
        ) from error


def _check_columns(path: Path, found: Collection[str]) -> None:
    if missing := [name for name in COLUMNS if name not in found]:
        raise InvalidInput(
            f"lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
            where=f"{path}:1",
            remedy=f"the first line must name the columns {', '.join(COLUMNS)}",
        )


def _rows(path: Path, lines: "csv.DictReader[str]") -> Iterator[Row]:
    seen: dict[Location, int] = {}
    for fields in lines:
        where = f"{path}:{lines.line_num}"
        row = _row(where, fields)
        if first := seen.get(row.location):
            raise InvalidInput(
                f"repeats the address of line {first}",
                where=where,
                remedy="a snapshot lists every address once; remove one of the two lines",
            )
        seen[row.location] = lines.line_num
        yield row


def _row(where: str, fields: Mapping[str | None, str | None]) -> Row:
    if None in fields or None in fields.values():
        raise InvalidInput("has another number of fields than the first line", where=where)
    number, suffix, street, postcode, place, area = (
        (fields[name] or "").strip() for name in COLUMNS
    )
    _check(
        not number or _NUMBER.fullmatch(number), where, "hnr", number, "a number from 1 to 99999"
    )
    _check(_SUFFIX.fullmatch(suffix), where, "hnr_zusatz", suffix, "up to eight letters or digits")
    _check(number or not suffix, where, "hnr", number, "a number, since there is a hnr_zusatz")
    _check(street, where, "str_name", street, "the name of a street")
    _check(_POSTCODE.fullmatch(postcode), where, "plz", postcode, "five digits")
    _check(place, where, "ort_name", place, "the name of a place")
    return Row(Location(street, number, suffix, postcode, place), area)


def _check(ok: object, where: str, column: str, value: str, wanted: str) -> None:
    if not ok:
        raise InvalidInput(f'{column} is "{value}", wanted {wanted}', where=where)
