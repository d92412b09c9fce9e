"""The demo's register: real addresses that come bit by bit, and made-up changes."""

import csv
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from bus.cli.demo.register import COLUMNS, Register, Row, read_rows
from bus.cli.demo.story import Story
from producers.address_register.difference import apply, difference
from producers.address_register.prudence import check
from producers.address_register.snapshot import read

ROWS = [
    (str(number), "", f"{street}straße", "10115", "Mitte", "Quartier", "0110")
    for street in ("Acker", "Berg", "Tor")
    for number in range(1, 6)
]
SHORT = [("1", "", f"Gasse {number}", "10115", "Mitte", "Quartier", "0110") for number in range(9)]
SNAPSHOTS = 25


def test_it_grows_by_whole_streets_until_all_are_shown() -> None:
    register = Register.seeded(ROWS, 1).grow(6)
    assert len(register.rows) == 10
    assert sorted(register.grow(100).rows) == sorted(ROWS)
    assert register.grow(100).grow(100).coming == ()


def test_one_seed_gives_one_story() -> None:
    assert Register.seeded(ROWS, 7).grow(9).change(3) == Register.seeded(ROWS, 7).grow(9).change(3)
    orders = {Register.seeded(ROWS, seed).grow(1).rows for seed in range(20)}
    assert len(orders) == 3


def test_a_change_withdraws_one_renumbers_one_and_renames_a_street() -> None:
    before = Register.seeded(ROWS + SHORT, 1).grow(100)
    after = before.change(5)
    assert len(after.rows) == len(before.rows) - 1
    assert [row for row in after.rows if row[0] == "900"]
    assert any(row[2].startswith("Alte ") for row in after.rows)


@pytest.mark.parametrize("rows", [[], ROWS])
def test_a_register_with_few_addresses_stays_as_it_is(rows: list[Row]) -> None:
    register = Register.seeded(rows, 1).grow(100)
    assert register.change(1) == register


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("added", [1, 150, 390])
def test_the_publisher_takes_every_snapshot(tmp_path: Path, seed: int, added: int) -> None:
    """Each address is there once, and none withdraws more than its publisher believes."""
    file = tmp_path / "register.csv"
    story = Story.open(tmp_path / "story.json", berlin(), seed)
    known: dict[str, Any] = {}
    for _ in range(SNAPSHOTS):
        story.next(added, file)
        snapshot = read(file, story.day)
        changes = difference(known, snapshot.rows, lambda _: str(uuid4()))
        check(file, snapshot, len(known), changes, allow_empty=False, allow_shrink=False)
        known = apply(changes, known)


def berlin() -> list[Row]:
    source = files("producers.address_register") / "data" / "berlin.csv"
    return read_rows(source.read_text(encoding="utf-8"))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    register = Register.seeded(ROWS, 1).grow(100)
    register.write(tmp_path / "register.csv")
    text = (tmp_path / "register.csv").read_text(encoding="utf-8")
    assert next(csv.reader([text.splitlines()[0]])) == list(COLUMNS)
    assert tuple(read_rows(text)) == register.rows
