"""The power goes: what was acknowledged is there, whole and in place, whatever else is lost."""

import random
from pathlib import Path

import pytest

from ops.torture.broker.disk import Create, Delete, Sync, Truncate, Write
from ops.torture.broker.power import SECTOR, Machine
from ops.torture.broker.power_loss import Recording, cut, power_loss, record

SEEDS, CUTS = 4, 50


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_disk")
@pytest.mark.parametrize("number", range(SEEDS))
async def test_what_was_acknowledged_survives_a_power_cut(
    tmp_path: Path, seed: int, number: int
) -> None:
    outcome = await power_loss(tmp_path, seed + number, cuts=CUTS)
    assert not outcome.breaches
    assert outcome.acknowledged > 0


@pytest.mark.usefixtures("virtual_disk")
async def test_a_disk_that_does_not_sync_is_found_out(tmp_path: Path, seed: int) -> None:
    """The test of the test: on such a disk, promises are broken."""
    (data := tmp_path / "data").mkdir()
    (work := tmp_path / "work").mkdir()
    before, happened = await record(data, seed)
    lying = [one for one in happened if not isinstance(one, Sync)]
    outcome = await cut(Recording(before, lying), work, seed, cuts=10)
    assert outcome.breaches


def possible(machine: Machine) -> list[dict[str, bytes]]:
    return [machine.after_power_cut(random.Random(seed)) for seed in range(300)]


def test_what_was_synced_is_there() -> None:
    machine = Machine({"f": b"old"})
    machine.did(Write("f", 0, b"new"))
    machine.did(Sync("f"))
    assert possible(machine) == [{"f": b"new"}] * 300


def test_what_was_not_synced_may_be_there_torn_in_another_order_or_not() -> None:
    machine = Machine({"f": bytes(3 * SECTOR)})
    machine.did(Write("f", 0, b"1" * 2 * SECTOR))
    machine.did(Write("f", 2 * SECTOR, b"2" * SECTOR))
    found = {
        tuple(one["f"][at] for at in range(0, 3 * SECTOR, SECTOR)) for one in possible(machine)
    }
    clean = {(a, b, c) for a in (0, ord("1")) for b in (0, ord("1")) for c in (0, ord("2"))}
    assert clean < found


def test_a_file_that_was_cut_off_may_still_be_long() -> None:
    machine = Machine({"f": b"12"})
    machine.did(Truncate("f", 1))
    assert {one["f"] for one in possible(machine)} == {b"1", b"12"}


def test_names_come_and_go_in_order() -> None:
    machine = Machine({"old": b"1"})
    machine.did(Delete("old", synced=False))
    machine.did(Create("new"))
    names = {tuple(one) for one in possible(machine)}
    assert names == {("old",), (), ("new",)}
    machine.did(Sync("new"))
    assert possible(machine) == [{"new": b""}] * 300
