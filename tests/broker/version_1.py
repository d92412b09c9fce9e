"""A database as version 1 wrote it, and what a broker must still have of it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import UUID

from crc32c import crc32c
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey, Broker
from bus.broker.batch import HEADER, Header, placed
from bus.broker.sequences import Producer, Written
from bus.broker.storage import database
from bus.broker.storage.log import seal
from tests.broker.raw import Raw, batch

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


def make(folder: Path) -> None:
    """Make a folder with a database as version 1 wrote it."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / "broker.db", isolation_level=None)) as db:
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


def row(number: int, first: int, written: bytes) -> tuple[object, ...]:
    """Return a row of the log as it is stored."""
    header = Header._make(HEADER.unpack_from(written))
    stored = b"".join(placed(written, header, first, None))
    position, next_ = number << 40 | first, first + header.record_count
    checksum = crc32c(stored)
    sealed = seal(position, next_, header.max_timestamp, checksum)
    return (position, next_, header.max_timestamp, checksum, sealed, stored)


async def kept(broker: Broker, raw: Raw) -> None:
    """Assert that a running broker has all that the database of version 1 had."""
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
    answer = await raw.ask(
        ApiKey.OFFSET_FETCH,
        5,
        group_id="g",
        topics=[{"name": "t", "partition_indexes": [0]}],
    )
    position = answer.topics[0].partitions[0]
    assert (position.committed_offset, position.metadata) == (2, "note")
