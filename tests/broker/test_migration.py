"""A database of version 1 opens, keeps all that it holds, and works on."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from bus.broker.backup import backup, restore
from bus.broker.check import check
from bus.broker.directory import Directory
from bus.broker.storage import database, schema
from bus.errors import StorageUnusable
from tests.broker import version_1
from tests.broker.raw import Raw, batch
from tests.broker.stores import UNPACKED, contents, made


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder with a database as version 1 wrote it."""
    version_1.make(tmp_path / "old")
    return tmp_path / "old"


async def test_a_database_of_version_1_keeps_everything_and_works_on(old: Path) -> None:
    async with made(old) as broker, await Raw.to(broker) as raw:
        await version_1.kept(broker, raw)
        further = await raw.produce("t", batch(b"e", producer=(1500, 0, 3)))
        assert (further.error_code, further.base_offset) == (ErrorCode.none, 3)
        fresh = await raw.ask(
            ApiKey.INIT_PRODUCER_ID, 1, transactional_id=None, transaction_timeout=1000
        )
        assert fresh.producer_id >= 3000
        assert not (await raw.create("u")).error_code
    async with made(old) as broker, await Raw.to(broker) as raw:
        assert (await raw.fetch("t", 0)).high_watermark == 4
    assert check(old / "broker.db", max_unpacked=UNPACKED).damage == []


async def test_a_backup_of_version_1_is_of_version_1_and_opens_like_it(
    old: Path, tmp_path: Path
) -> None:
    made_ = backup(old / "broker.db", tmp_path / "copy")
    assert (made_.report.version, made_.report.damages) == (1, 0)
    restore(tmp_path / "copy", tmp_path / "other", max_unpacked=UNPACKED)
    async with made(tmp_path / "other") as broker, await Raw.to(broker) as raw:
        assert (await raw.fetch("t", 0)).high_watermark == 3
        assert (await raw.produce("t", batch(b"on"))).base_offset == 3


async def test_what_comes_of_it_is_what_a_new_database_is(old: Path, tmp_path: Path) -> None:
    async with made(old), made(tmp_path / "new"):
        pass
    assert columns(old) == columns(tmp_path / "new")


def columns(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return the columns and indexes of each table, in order, and the version."""
    with closing(sqlite3.connect(folder / "broker.db")) as db:
        names = [name for (name,) in db.execute("select name from sqlite_master order by name")]
        found = {name: db.execute(f"pragma table_xinfo({name})").fetchall() for name in names}
        found["version"] = db.execute("pragma user_version").fetchall()
        return found


def test_a_newer_version_is_refused_and_left_as_it_is(old: Path) -> None:
    with closing(sqlite3.connect(old / "broker.db")) as db:
        db.execute("pragma user_version = 99")
    before = contents(old)
    with pytest.raises(StorageUnusable, match="has version 99"):
        Directory(old).take()
    assert contents(old) | {"broker.lock": ""} == before | {"broker.lock": ""}


@contextmanager
def failing(at: int) -> Iterator[None]:
    """Let the statement of that number fail within a migration."""
    steps = list(schema.STEPS[1])
    steps.insert(at, "insert into nowhere values (1)")
    before = schema.STEPS
    schema.STEPS = {1: steps}
    try:
        yield
    finally:
        schema.STEPS = before


@pytest.mark.parametrize("at", range(len(schema.STEPS[1]) + 1))
async def test_a_migration_that_fails_changes_nothing(old: Path, at: int) -> None:
    with failing(at), pytest.raises(StorageUnusable, match="nowhere"):
        await made(old).start()
    with closing(sqlite3.connect(old / "broker.db")) as db:
        assert db.execute("pragma user_version").fetchone() == (1,)
        names = {name for (name,) in db.execute("select name from sqlite_master")}
        assert names == tables_of_version_1()
    async with made(old) as broker, await Raw.to(broker) as raw:
        assert (await raw.fetch("t", 0)).high_watermark == 3


def tables_of_version_1() -> set[str]:
    """Return the names of what version 1 made."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(version_1.VERSION_1)
        return {name for (name,) in db.execute("select name from sqlite_master")}


async def test_a_crash_after_the_migration_loses_nothing(old: Path, tmp_path: Path) -> None:
    """What was migrated lies in the write-ahead log alone, and the file still says version 1."""
    with closing(sqlite3.connect(old / "broker.db")) as holding:
        holding.execute("select count(*) from log").fetchone()  # keeps the log from being folded
        assert database.migrate(old / "broker.db") == 1
        shutil.copytree(old, tmp_path / "crashed")
    assert (tmp_path / "crashed" / "broker.db").read_bytes()[60:64] == b"\0\0\0\1"
    async with made(tmp_path / "crashed") as broker, await Raw.to(broker) as raw:
        assert (await raw.fetch("t", 0)).high_watermark == 3
    assert (
        check(tmp_path / "crashed" / "broker.db", max_unpacked=UNPACKED).version == schema.VERSION
    )
