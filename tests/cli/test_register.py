"""The demo's register: real addresses that come bit by bit, and made-up changes."""

import csv
from pathlib import Path

from bus.cli.demo.register import COLUMNS, Register, read_rows

ROWS = [
    (str(number), "", f"{street}straße", "10115", "Mitte", "Quartier", "0110")
    for street in ("Acker", "Berg", "Tor")
    for number in range(1, 6)
]


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
    before = Register.seeded(ROWS, 1).grow(100)
    after = before.change(5)
    assert len(after.rows) == len(before.rows) - 1
    assert [row for row in after.rows if row[0] == "905"]
    assert any(row[2].startswith("Alte ") for row in after.rows)


def test_a_register_without_addresses_stays_as_it_is() -> None:
    assert Register().change(1) == Register()


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    register = Register.seeded(ROWS, 1).grow(100)
    register.write(tmp_path / "register.csv")
    text = (tmp_path / "register.csv").read_text(encoding="utf-8")
    assert next(csv.reader([text.splitlines()[0]])) == list(COLUMNS)
    assert tuple(read_rows(text)) == register.rows
