"""All of the broker's SQL: one SQLite database, written by one connection, read by another.

A row of the log holds adjacent batches of one partition; its key is the partition's number and the
first offset, so that a partition is one range of the table. Two checksums guard it: one over the
batches, one over everything else in the row.
"""

import json
import sqlite3
import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from crc32c import crc32c

from bus.broker.sequences import Producer
from bus.broker.stage import OFFSET_BITS, ProducerKey, Row

APPLICATION = 0x53544255  # "STBU", in the database's header
VERSION = 1
NAME = "broker.db"
_SEAL = struct.Struct(">qqqI")
_DAY_MS = 86_400_000
_BUSY_WAITS_MS = 10_000
_FOLD_WAITS_MS = 50  # as every publisher waits, too

_SCHEMA = """
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


@dataclass(frozen=True, slots=True)
class StoredTopic:
    """A topic as stored: its partitions' numbers and log starts in order."""

    number: int
    name: str
    id: UUID
    configs: Mapping[str, str]
    partitions: Sequence["StoredPartition"]


class StoredPartition(NamedTuple):
    """A partition as stored: its number, first offset and next offset."""

    number: int
    start: int
    end: int


class Position(NamedTuple):
    """Where a group will go on in one partition."""

    offset: int
    epoch: int
    note: str


def connect(path: Path) -> sqlite3.Connection:
    """Open the database for use by one thread at a time."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(f"pragma busy_timeout = {_BUSY_WAITS_MS}")
    connection.execute("pragma synchronous = full")
    connection.execute("pragma wal_autocheckpoint = 250")
    return connection


def create(path: Path) -> None:
    """Make an empty database at a path where nothing is; what is half made is not left behind."""
    making = path.with_suffix(".new")
    for left in (making, *making.parent.glob(making.name + "-*")):
        left.unlink(missing_ok=True)
    connection = sqlite3.connect(making, isolation_level=None)
    try:
        connection.execute("pragma page_size = 16384")
        connection.execute("pragma auto_vacuum = incremental")
        connection.execute("pragma journal_mode = wal")
        connection.executescript(f"begin; {_SCHEMA}")
        connection.execute("insert into meta values ('cluster', ?)", (uuid4().bytes,))
        connection.execute("insert into meta values ('next_producer', 1000)")
        connection.execute(f"pragma application_id = {APPLICATION}")
        connection.execute(f"pragma user_version = {VERSION}")
        connection.execute("commit")
    finally:
        connection.close()
    making.rename(path)


class Store:
    """The writing side; used by the writer thread once it runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = connect(path)

    def close(self) -> None:
        """Close the database; the write-ahead log is folded into it."""
        self._db.close()

    def begin(self) -> None:
        """Open a transaction."""
        self._db.execute("begin immediate")

    def commit(self) -> None:
        """Make the transaction durable."""
        self._db.execute("commit")

    def rollback(self) -> None:
        """Undo the transaction, if SQLite has not done so already."""
        if self._db.in_transaction:
            self._db.execute("rollback")

    def cluster(self) -> UUID:
        """Return the cluster's id."""
        return UUID(bytes=self._value("cluster"))

    def reserve_producers(self, count: int) -> int:
        """Return the first of so many producer ids that were never given before."""
        first = int(self._value("next_producer"))
        self._db.execute("update meta set value = ? where name = 'next_producer'", (first + count,))
        return first

    def _value(self, name: str) -> Any:
        return self._db.execute("select value from meta where name = ?", (name,)).fetchone()[0]

    def write_rows(self, rows: Iterable[Row]) -> None:
        """Store a round's rows."""
        for row in rows:
            position = row.partition << OFFSET_BITS | row.base
            checksum = crc32c(row.batches)
            self._db.execute(
                "insert into log values (?, ?, ?, ?, ?, ?)",
                (
                    position,
                    row.next,
                    row.newest,
                    checksum,
                    seal(position, row.next, row.newest, checksum),
                    row.batches,
                ),
            )

    def write_producers(self, producers: Mapping[ProducerKey, Producer], now: int) -> None:
        """Store producers' states; `now` is in milliseconds since 1970."""
        for (partition, producer), state in producers.items():
            self._db.execute(
                "insert or replace into producers values (?, ?, ?, ?, ?)",
                (partition, producer, state.epoch, now, state.to_bytes()),
            )

    def producers(self, now: int) -> dict[ProducerKey, Producer]:
        """Return the states of producers that wrote within the last day; forget the others."""
        self.expire_producers(now)
        stored = self._db.execute("select partition, producer, epoch, batches from producers")
        return {
            (partition, producer): Producer.from_bytes(epoch, batches)
            for partition, producer, epoch, batches in stored
        }

    def expire_producers(self, now: int) -> list[ProducerKey]:
        """Forget producers that have not written for a day (Kafka's producer.id.expiration.ms)."""
        return self._db.execute(
            "delete from producers where used < ? returning partition, producer", (now - _DAY_MS,)
        ).fetchall()

    def topics(self) -> list[StoredTopic]:
        """Return all topics; a partition whose last row is damaged ends at -1."""
        topics = self._db.execute("select number, name, id, configs from topics").fetchall()
        return [
            StoredTopic(number, name, UUID(bytes=id_), json.loads(configs), self._ends(number))
            for number, name, id_, configs in topics
        ]

    def _ends(self, topic: int) -> list[StoredPartition]:
        stored = self._db.execute(
            "select number, start from partitions where topic = ? order by ordinal", (topic,)
        ).fetchall()
        return [
            StoredPartition(number, start, self._end(number, start)) for number, start in stored
        ]

    def _end(self, partition: int, start: int) -> int:
        last = self._db.execute(
            "select position, next, newest, checksum, seal from log "
            "where position between ? and ? order by position desc limit 1",
            bounds(partition),
        ).fetchone()
        if last is None:
            return start
        *sealed, stored = last
        if seal(*sealed) != stored:
            return -1
        return int(last[1])

    def create_topic(self, name: str, partitions: int, configs: Mapping[str, str]) -> StoredTopic:
        """Make a topic with empty partitions."""
        id_ = uuid4()
        number = self._db.execute(
            "insert into topics (name, id, configs) values (?, ?, ?)",
            (name, id_.bytes, json.dumps(dict(configs))),
        ).lastrowid
        assert number is not None  # noqa: S101  # an insert always has one
        made = self.add_partitions(number, range(partitions))
        return StoredTopic(number, name, id_, configs, made)

    def add_partitions(self, topic: int, ordinals: Iterable[int]) -> list[StoredPartition]:
        """Make empty partitions of a topic."""
        made = []
        for ordinal in ordinals:
            number = self._db.execute(
                "insert into partitions (topic, ordinal) values (?, ?)", (topic, ordinal)
            ).lastrowid
            made.append(StoredPartition(number or 0, 0, 0))
        return made

    def drop_topic(self, topic: int, name: str) -> None:
        """Forget a topic and the groups' positions in it; its rows are left to `purge`."""
        self._db.execute(
            "insert into dropped select number from partitions where topic = ?", (topic,)
        )
        self._db.execute(
            "delete from producers where partition in "
            "(select number from partitions where topic = ?)",
            (topic,),
        )
        self._db.execute("delete from partitions where topic = ?", (topic,))
        self._db.execute("delete from topics where number = ?", (topic,))
        self._db.execute("delete from positions where topic = ?", (name,))

    def purge(self, limit: int) -> bool:
        """Delete about so many bytes of dropped partitions; true if there is more to do."""
        dropped = self._db.execute("select partition from dropped limit 1").fetchone()
        if dropped is None:
            return False
        size, last = 0, None
        for position, length in self._db.execute(
            "select position, length(batches) from log where position between ? and ? "
            "order by position",
            bounds(dropped[0]),
        ):
            size, last = size + length, position
            if size >= limit:
                break
        if last is None:
            self._db.execute("delete from dropped where partition = ?", dropped)
        else:
            first, _ = bounds(dropped[0])
            self._db.execute("delete from log where position between ? and ?", (first, last))
        return True

    def pages(self) -> int:
        """Return the pages of the database, those that are free included."""
        return self._number("page_count")

    def free_pages(self) -> int:
        """Return the pages that hold nothing."""
        return self._number("freelist_count")

    def free_bytes(self) -> int:
        """Return the space that can be written to before the database grows."""
        return self.free_pages() * self._number("page_size")

    def vacuum(self, pages: int) -> bool:
        """Take so many free pages off the database's end; what lies there moves forward.

        Returns:
            whether there are fewer free pages now.
        """
        before = self.free_pages()
        # A page is freed at each step of the statement, and `execute` takes only one step.
        self._db.executescript(f"pragma incremental_vacuum({pages})")
        return self.free_pages() < before

    def fold(self) -> bool:
        """Fold the write-ahead log into the database and cut both off where they end.

        Returns:
            false if a reader was in the way for too long.
        """
        self._db.execute(f"pragma busy_timeout = {_FOLD_WAITS_MS}")
        try:
            busy, _, _ = self._db.execute("pragma wal_checkpoint(truncate)").fetchone()
        finally:
            self._db.execute(f"pragma busy_timeout = {_BUSY_WAITS_MS}")
        return not busy

    def _number(self, pragma: str) -> int:
        return int(self._db.execute(f"pragma {pragma}").fetchone()[0])

    def set_configs(self, topic: int, configs: Mapping[str, str]) -> None:
        """Replace a topic's configs."""
        self._db.execute(
            "update topics set configs = ? where number = ?", (json.dumps(dict(configs)), topic)
        )

    def positions(self) -> Iterator[tuple[str, str, int, Position]]:
        """Yield group, topic, partition and position of all groups."""
        for group, topic, ordinal, offset, epoch, note in self._db.execute(
            "select consumers, topic, ordinal, position, epoch, note from positions"
        ):
            yield group, topic, ordinal, Position(offset, epoch, note)

    def write_positions(
        self, group: str, positions: Mapping[tuple[str, int], Position], now: int
    ) -> None:
        """Store a group's positions; `now` is in milliseconds since 1970."""
        for (topic, ordinal), position in positions.items():
            self._db.execute(
                "insert or replace into positions values (?, ?, ?, ?, ?, ?, ?)",
                (group, topic, ordinal, *position, now),
            )

    def drop_positions(self, group: str, partitions: Iterable[tuple[str, int]] | None) -> None:
        """Forget a group's positions: those of some partitions, or all if None."""
        if partitions is None:
            self._db.execute("delete from positions where consumers = ?", (group,))
            return
        for topic, ordinal in partitions:
            self._db.execute(
                "delete from positions where consumers = ? and topic = ? and ordinal = ?",
                (group, topic, ordinal),
            )


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def bounds(partition: int) -> tuple[int, int]:
    """Return the first and last row key of a partition."""
    low = partition << OFFSET_BITS
    return low, low + (1 << OFFSET_BITS) - 1


def seal(position: int, next_: int, newest: int, checksum: int) -> int:
    """Return the checksum over a row's columns; -1 if they cannot be what was written."""
    try:
        return crc32c(_SEAL.pack(position, next_, newest, checksum))
    except struct.error:
        return -1
