"""The power goes: what was acknowledged is there, whole and in place, whatever else is lost."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from bus.broker import directory
from bus.broker.check import check
from bus.errors import StorageUnusable
from ops.torture.broker import power_start
from ops.torture.broker.disk import Create, Delete, Rename, Sync, SyncNames, Truncate, Write
from ops.torture.broker.opened import local
from ops.torture.broker.power import SECTOR, Machine, Recording
from ops.torture.broker.power_loss import cut, record, under_load
from ops.torture.broker.power_start import first_start, judged, started
from tests.broker import version_1
from tests.broker.raw import Raw, batch
from tests.broker.stores import UNPACKED

SEEDS, CUTS = 4, 50


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_disk")
@pytest.mark.parametrize("number", range(SEEDS))
async def test_what_was_acknowledged_survives_a_power_cut(
    tmp_path: Path, seed: int, number: int
) -> None:
    outcome = await under_load(tmp_path, seed + number, cuts=CUTS)
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


@pytest.mark.usefixtures("virtual_disk")
async def test_a_first_start_survives_a_power_cut_at_each_moment(tmp_path: Path, seed: int) -> None:
    outcome = await first_start(tmp_path, seed)
    assert not outcome.breaches
    assert outcome.cuts > 50
    assert outcome.acknowledged > 0


@pytest.mark.usefixtures("virtual_disk")
async def test_a_first_start_that_does_not_sync_is_found_out(tmp_path: Path, seed: int) -> None:
    """The test of the test."""
    (data := tmp_path / "data").mkdir()
    (work := tmp_path / "work").mkdir()
    _, happened = await started(data)
    lying = [one for one in happened if not isinstance(one, Sync)]
    outcome = await power_start.cut(Recording({}, lying), work, seed, judged)
    assert outcome.breaches


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_disk")
async def test_a_migration_survives_a_power_cut_at_each_moment(tmp_path: Path, seed: int) -> None:
    version_1.make(tmp_path / "old")
    (work := tmp_path / "work").mkdir()
    recording = await started(tmp_path / "old")
    looked_at: Counter[int] = Counter()

    async def judge(folder: Path, _: object) -> list[str]:
        looked_at[check(folder / "broker.db", max_unpacked=UNPACKED).version] += 1
        async with local(folder) as broker, await Raw.to(broker) as raw:
            await version_1.kept(broker, raw)
        report = check(folder / "broker.db", max_unpacked=UNPACKED)
        return [str(one) for one in report.damage]

    for number in range(2):
        outcome = await power_start.cut(recording, work, seed + number, judge, every=True)
        assert not outcome.breaches
    assert looked_at.keys() == {1, 2}


async def test_a_first_page_that_was_torn_while_it_was_folded_is_taken_from_the_log(
    tmp_path: Path,
) -> None:
    (copy := tmp_path / "copy").mkdir()
    async with local(tmp_path / "data") as broker, await Raw.to(broker) as raw:
        await raw.made("t")
        stored = await raw.produce("t", batch(b"x" * 500_000))  # so that the file gets longer
        assert stored.base_offset == 0
        found = [str(one) for one in (tmp_path / "data").glob("broker.db*")]
        copying = await asyncio.create_subprocess_exec("cp", *found, str(copy))
        assert await copying.wait() == 0
    with (copy / "broker.db").open("r+b") as file:
        file.write(bytes(SECTOR))
    assert check(copy / "broker.db", max_unpacked=UNPACKED).damages == 0
    async with local(copy) as broker, await Raw.to(broker) as raw:
        assert (await raw.fetch("t", 0)).high_watermark == 1
    (copy / "broker.db").write_bytes(bytes(SECTOR))  # with no log beside it, it is nobody's
    with pytest.raises(StorageUnusable, match="not a database of this broker"):
        await local(copy).start()


def test_the_folders_that_a_broker_makes_are_safe_before_the_database_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(directory, "sync", synced.append)
    taken = directory.Directory(tmp_path / "a" / "b")
    taken.take()
    taken.release()
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]


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
    machine.did(Create("new-wal"))
    names = {tuple(one) for one in possible(machine)}
    assert names == {("old",), (), ("new-wal",)}
    machine.did(Sync("new-wal"))
    assert possible(machine) == [{"new-wal": b""}] * 300


def test_a_name_is_no_safer_for_its_bytes() -> None:
    machine = Machine({})
    machine.did(Create("a"))
    machine.did(Write("a", 0, b"1"))
    machine.did(Sync("a"))
    machine.did(Rename("a", "b"))
    found = {tuple(one.items()) for one in possible(machine)}
    assert found == {(), (("a", b"1"),), (("b", b"1"),)}
    machine.did(SyncNames("."))
    assert possible(machine) == [{"b": b"1"}] * 300
