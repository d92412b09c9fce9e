"""Backups: of one commit, while others write; whole before they count; and what restoring does."""

import asyncio
import errno
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey, Broker
from bus.broker.backup import backup, restore
from bus.broker.check import check
from bus.broker.storage import copying
from bus.broker.storage.copying import Copy
from bus.errors import Conflict, NotFound, StorageInUse, StorageUnusable
from tests.broker.raw import Raw, batch
from tests.broker.stores import (
    RECORDS,
    UNPACKED,
    change,
    committed,
    contents,
    fill,
    filled,
    made,
    tables,
)

MARKER = b"erased-4711" * 400


async def test_a_backup_of_a_stopped_store_is_that_store(tmp_path: Path) -> None:
    database = await filled(tmp_path / "broker")
    before = contents(tmp_path / "broker")
    made_ = backup(database, tmp_path / "copy")
    assert (made_.topics, made_.report.damages, made_.report.records) == (2, 0, RECORDS)
    assert contents(tmp_path / "broker") == before
    assert names(tmp_path) == ["broker", "copy"]
    assert tables(tmp_path / "copy") == tables(database)
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600


def names(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return sorted(file.name for file in folder.iterdir())


async def test_a_backup_beside_a_running_broker_is_of_one_commit(tmp_path: Path) -> None:
    written = 0
    async with made(tmp_path / "broker") as broker, await Raw.to(broker) as raw:
        await fill(raw)
        for _ in range(200):
            await raw.produce("u", batch(b"x" * 10_000))
        copying_ = asyncio.create_task(
            asyncio.to_thread(backup, tmp_path / "broker" / "broker.db", tmp_path / "copy")
        )
        while not copying_.done():
            stored = await raw.produce("u", batch(b"x" * 1000))
            written += 1
            await raw.ask(ApiKey.OFFSET_COMMIT, 7, **committed("u", stored.base_offset + 1))
            await raw.ask(ApiKey.OFFSET_COMMIT, 7, **committed("u", stored.base_offset + 1, "h"))
        copied = await copying_
        assert copied.report.damages == 0
    assert written > 0
    restore(tmp_path / "copy", tmp_path / "other", max_unpacked=UNPACKED)
    with closing(sqlite3.connect(tmp_path / "other" / "broker.db")) as connection:
        positions = dict(
            connection.execute("select consumers, position from positions where topic = 'u'")
        )
    async with made(tmp_path / "other") as broker, await Raw.to(broker) as raw:
        end = (await raw.fetch("u", 0)).high_watermark
        # What is committed follows what it is about: the record, then g, then h.
        assert end >= positions.get("g", 0) >= positions.get("h", 0)
        assert "h" not in positions or positions["h"] >= end - 1


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy a few rows at a time, so that much can happen in between."""
    monkeypatch.setattr(copying, "MOST_ROWS", 4)


async def test_what_changes_between_two_steps_is_in_the_copy_as_it_is_at_the_end(
    tmp_path: Path, small_steps: None
) -> None:
    async with made(tmp_path / "broker") as broker, await Raw.to(broker) as raw:
        await fill(raw)
        for _ in range(20):
            await raw.produce("t", batch(MARKER))
    database = tmp_path / "broker" / "broker.db"
    steps = 0
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("pragma secure_delete = on")

        def meanwhile() -> None:
            nonlocal steps
            steps += 1
            if steps == 4:  # rows that were copied, and such that were not
                writer.execute("delete from log where instr(batches, 'erased-4711')")
                writer.execute("update log set newest = newest + 1, seal = seal + 1 where next = 3")
                writer.execute("delete from positions")
                writer.execute("insert into dropped values (77)")
                writer.execute(
                    "insert into log select position + 1000, next, newest, checksum, seal, batches "
                    "from log where next = 3"
                )
            # Nobody is in the way between two steps: the write-ahead log can be folded.
            busy, _, _ = writer.execute("pragma wal_checkpoint(truncate)").fetchone()
            assert not busy

        copy = Copy(database, tmp_path / "copy", still=False, progress=meanwhile)
        copy.run()
        copy.close()
    assert steps > 4
    assert tables(tmp_path / "copy") == tables(database)
    assert b"erased-4711" not in (tmp_path / "copy").read_bytes()


async def test_what_was_deleted_is_not_in_a_backup(tmp_path: Path) -> None:
    async with made(tmp_path / "broker") as broker, await Raw.to(broker) as raw:
        await fill(raw)
        await raw.create("gone")
        await raw.produce("gone", batch(MARKER))
        await raw.ask(ApiKey.DELETE_TOPICS, 3, topic_names=["gone"], timeout=1000)
        store = tmp_path / "broker" / "broker.db"
        with closing(sqlite3.connect(store)) as connection:
            async with asyncio.timeout(10):
                while connection.execute("select count(*) from dropped").fetchone()[0]:
                    await raw.ask(ApiKey.METADATA, 1, topics=None)
        backup(store, tmp_path / "copy")
    assert b"erased-4711" not in (tmp_path / "copy").read_bytes()


async def test_a_file_that_is_there_is_replaced_only_by_force(tmp_path: Path) -> None:
    database = await filled(tmp_path / "broker")
    (tmp_path / "copy").write_text("dear")
    with pytest.raises(Conflict, match="--force"):
        backup(database, tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "dear"
    backup(database, tmp_path / "copy", force=True)
    assert check(tmp_path / "copy", max_unpacked=UNPACKED).records == RECORDS


@pytest.mark.parametrize("name", ["broker.db", "broker.db-wal", "another"])
async def test_no_backup_is_made_in_the_brokers_own_folder(tmp_path: Path, name: str) -> None:
    database = await filled(tmp_path / "broker")
    (tmp_path / "link").symlink_to(tmp_path / "broker")
    before = contents(tmp_path / "broker")
    for folder in ("broker", "link"):
        with pytest.raises(Conflict, match="the broker's own folder"):
            backup(database, tmp_path / folder / name, force=True)
    assert contents(tmp_path / "broker") == before


async def test_a_folder_is_not_replaced_by_a_backup(tmp_path: Path) -> None:
    database = await filled(tmp_path / "broker")
    (tmp_path / "copy").mkdir()
    with pytest.raises(Conflict, match="this is a folder"):
        backup(database, tmp_path / "copy", force=True)


async def test_of_two_backups_to_one_file_the_later_is_refused_and_the_first_is_whole(
    tmp_path: Path,
) -> None:
    database = await filled(tmp_path / "broker")
    refused = 0

    def meanwhile(*_: object) -> None:
        nonlocal refused
        with pytest.raises(Conflict, match="of this name is being made"):
            backup(database, tmp_path / "copy", force=True)
        refused += 1

    backup(database, tmp_path / "copy", progress=meanwhile)
    assert refused > 0
    assert tables(tmp_path / "copy") == tables(database)
    assert names(tmp_path) == ["broker", "copy"]


async def test_what_a_killed_backup_left_is_no_obstacle(tmp_path: Path) -> None:
    database = await filled(tmp_path / "broker")
    backup(database, tmp_path / "other")
    for end in ("", "-wal", "-shm", "-journal"):
        shutil.copy(tmp_path / "other", tmp_path / f"copy.part{end}")
    backup(database, tmp_path / "copy")
    assert tables(tmp_path / "copy") == tables(database)
    assert names(tmp_path) == ["broker", "copy", "other"]


async def test_a_backup_that_fails_leaves_nothing_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await filled(tmp_path / "broker")
    (tmp_path / "copy").write_text("dear")

    def full(_: Copy) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Copy, "_settle", full)
    with pytest.raises(StorageUnusable, match="disk is full"):
        backup(database, tmp_path / "copy", force=True)
    assert (tmp_path / "copy").read_text() == "dear"
    assert names(tmp_path) == ["broker", "copy"]


async def test_a_folder_that_is_not_there_or_too_small_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await filled(tmp_path / "broker")
    with pytest.raises(StorageUnusable, match="No such file"):
        backup(database, tmp_path / "nowhere" / "copy")
    with pytest.raises(NotFound):
        backup(tmp_path / "nothing" / "broker.db", tmp_path / "copy")
    monkeypatch.setattr("bus.broker.backup.shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(StorageUnusable, match="1000 bytes free"):
        backup(database, tmp_path / "copy")


async def test_a_disk_that_is_read_only_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await filled(tmp_path / "broker")

    def read_only(path: Path, *_: object, **__: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr("bus.broker.backup.os.open", read_only)
    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(StorageUnusable, match="Read-only file system"):
        backup(database, tmp_path / "copy")


async def test_damage_is_copied_as_it_is_and_named(tmp_path: Path) -> None:
    database = await filled(tmp_path / "broker")
    change(database, "update log set checksum = 1 where next = 6")
    copied = backup(database, tmp_path / "copy")
    assert [damage[:3] for damage in copied.report.damage] == [("t", 0, 3)]
    with pytest.raises(StorageUnusable, match="damaged in 1 places, the first is t/0 at 3"):
        restore(tmp_path / "copy", tmp_path / "other", max_unpacked=UNPACKED)
    assert not (tmp_path / "other" / "broker.db").exists()
    restore(tmp_path / "copy", tmp_path / "other", max_unpacked=UNPACKED, damaged=True)
    async with made(tmp_path / "other") as broker, await Raw.to(broker) as raw:
        assert (await raw.fetch("u", 0)).error_code is ErrorCode.none


async def test_a_restored_broker_is_the_same_cluster_and_gives_no_producer_id_twice(
    tmp_path: Path,
) -> None:
    async with made(tmp_path / "broker") as broker, await Raw.to(broker) as raw:
        await fill(raw)
        cluster = cluster_of(broker)
        backup(tmp_path / "broker" / "broker.db", tmp_path / "copy")
        lost = await producer_id(raw)
        await raw.produce("u", batch(b"after the backup"))
    given = [lost]
    for folder in ("one", "two"):  # from the same backup
        restored = restore(tmp_path / "copy", tmp_path / folder, max_unpacked=UNPACKED)
        assert restored.report.records == RECORDS
        async with made(tmp_path / folder) as broker, await Raw.to(broker) as raw:
            assert cluster_of(broker) == cluster
            assert (await raw.fetch("u", 0)).high_watermark == 1
            given.append(await producer_id(raw))
            assert (await raw.produce("u", batch(b"on"))).base_offset == 1
    assert len(set(given)) == 3


def cluster_of(broker: Broker) -> str:
    """Return the cluster's id."""
    assert broker._engine is not None
    return broker._engine.cluster


async def producer_id(raw: Raw) -> int:
    """Return a new producer's id."""
    answer = await raw.ask(
        ApiKey.INIT_PRODUCER_ID, 1, transactional_id=None, transaction_timeout=1000
    )
    return int(answer.producer_id)


async def test_a_store_that_is_there_is_replaced_only_by_force_and_kept_aside(
    tmp_path: Path,
) -> None:
    backup(await filled(tmp_path / "broker"), tmp_path / "copy")
    async with made(tmp_path / "broker") as broker, await Raw.to(broker) as raw:
        await raw.create("newer")
        with pytest.raises(StorageInUse):
            restore(tmp_path / "copy", tmp_path / "broker", max_unpacked=UNPACKED, force=True)
        shutil.copytree(tmp_path / "broker", tmp_path / "killed")  # with its write-ahead log
    assert (tmp_path / "killed" / "broker.db-wal").stat().st_size > 0
    with pytest.raises(Conflict, match="--force"):
        restore(tmp_path / "copy", tmp_path / "killed", max_unpacked=UNPACKED)
    restored = restore(tmp_path / "copy", tmp_path / "killed", max_unpacked=UNPACKED, force=True)
    assert restored.replaced == tmp_path / "killed" / "broker.db.replaced"
    async with made(tmp_path / "killed") as broker, await Raw.to(broker) as raw:
        assert not (await raw.create("newer")).error_code
    assert check(restored.replaced, max_unpacked=UNPACKED).partitions == 4


@pytest.mark.parametrize("content", [b"", b"no database at all"])
def test_what_is_no_backup_is_not_restored(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "copy").write_bytes(content)
    with pytest.raises(StorageUnusable, match="not a database of this broker"):
        restore(tmp_path / "copy", tmp_path / "broker", max_unpacked=UNPACKED)
    assert not (tmp_path / "broker").exists()
