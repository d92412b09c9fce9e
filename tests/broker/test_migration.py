"""A database of version 1 opens, keeps all that it holds, and works on."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from crc32c import crc32c
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from bus.broker.backup import backup, restore
from bus.broker.batch import HEADER, Header, placed
from bus.broker.check import check
from bus.broker.directory import Directory
from bus.broker.sequences import Producer, Written
from bus.broker.storage import database, schema
from bus.broker.storage.log import seal
from bus.errors import StorageUnusable
from tests.broker.raw import Raw, batch
from tests.broker.stores import UNPACKED, contents, made

VERSION_1 = """
create table meta (name text primary key, value) without rowid;
create table topics (
    number integer primary key autoincrement, name text not null unique, id blob not null,
    configs text not null
);
create table partitions (
    number integer primary key autoincrement, topic integer not null, ordinal integer not null,
    start integer not null default 0, unique (topic, ordinal)
);
create table log (
    position integer primary key, next integer not null, newest integer not null,
    checksum integer not null, seal integer not null, batches blob not null
);
create table dropped (partition integer primary key);
create table producers (
    partition integer, producer integer, epoch integer not null, used integer not null,
    batches blob not null, primary key (partition, producer)
) without rowid;
create table positions (
    consumers text, topic text, ordinal integer, position integer not null, epoch integer not null,
    note text not null, committed integer not null, primary key (consumers, topic, ordinal)
) without rowid;
"""
CLUSTER = UUID("12345678-1234-4234-8234-123456789abc")
TOPIC = UUID("00000000-0000-4000-8000-00000000000a")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder with a database as version 1 wrote it."""
    tmp_path.joinpath("old").mkdir()
    with closing(sqlite3.connect(tmp_path / "old" / "broker.db", isolation_level=None)) as db:
        db.execute("pragma page_size = 16384")
        db.execute("pragma auto_vacuum = incremental")
        db.execute("pragma journal_mode = wal")
        db.executescript(VERSION_1)
        db.execute(
            "insert into meta values ('cluster', ?), ('next_producer', 3000)", (CLUSTER.bytes,)
        )
        db.execute(
            "insert into topics values (4, 't', ?, ?)", (TOPIC.bytes, '{"retention.ms": "-1"}')
        )
        db.execute("insert into partitions values (7, 4, 0, 0), (8, 4, 1, 2)")
        db.execute("insert into dropped values (5)")
        for number, first, values in ((7, 0, (b"a", b"b")), (7, 2, (b"c",)), (8, 2, (b"d",))):
            written = batch(*values, producer=(1500, 0, first))
            db.execute("insert into log values (?, ?, ?, ?, ?, ?)", row(number, first, written))
        window = Producer(0, 2, (Written(0, 1, 0), Written(2, 2, 2))).to_bytes()
        now = database.now_ms()
        db.execute("insert into producers values (7, 1500, 0, ?, ?)", (now, window))
        db.execute("insert into positions values ('g', 't', 0, 2, -1, 'note', ?)", (now,))
        db.execute(f"pragma application_id = {database.APPLICATION}")
        db.execute("pragma user_version = 1")
    return tmp_path / "old"


def row(number: int, first: int, written: bytes) -> tuple[object, ...]:
    """Return a row of the log as it is stored."""
    header = Header._make(HEADER.unpack_from(written))
    stored = b"".join(placed(written, header, first, None))
    position, next_ = number << 40 | first, first + header.record_count
    checksum = crc32c(stored)
    sealed = seal(position, next_, header.max_timestamp, checksum)
    return (position, next_, header.max_timestamp, checksum, sealed, stored)


async def test_a_database_of_version_1_keeps_everything_and_works_on(old: Path) -> None:
    async with made(old) as broker, await Raw.to(broker) as raw:
        assert broker._engine is not None
        assert broker._engine.cluster == f"stadtbus-{CLUSTER.hex[:13]}"
        whole = await raw.fetch("t", 0)
        assert (whole.high_watermark, whole.log_start_offset) == (3, 0)
        assert [value in whole.records for value in (b"a", b"b", b"c")] == [True] * 3
        other = await raw.fetch("t", 2, partition=1)
        assert (other.high_watermark, other.log_start_offset) == (3, 2)
        repeat = await raw.produce("t", batch(b"c", producer=(1500, 0, 2)))
        assert (repeat.error_code, repeat.base_offset) == (ErrorCode.none, 2)
        gap = await raw.produce("t", batch(b"x", producer=(1500, 0, 9)))
        assert gap.error_code is ErrorCode.out_of_order_sequence_number
        further = await raw.produce("t", batch(b"e", producer=(1500, 0, 3)))
        assert (further.error_code, further.base_offset) == (ErrorCode.none, 3)
        answer = await raw.ask(
            ApiKey.OFFSET_FETCH,
            5,
            group_id="g",
            topics=[{"name": "t", "partition_indexes": [0]}],
        )
        position = answer.topics[0].partitions[0]
        assert (position.committed_offset, position.metadata) == (2, "note")
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
        db.executescript(VERSION_1)
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
