"""Disclosures beside a node's data, in SQLite: a copy of their topic that answers questions.

The topic is the record. Where the copy stands in it is in the same commit as what was copied, so a
node that is killed goes on without a gap; and what is read twice is there once, by its place.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from heapq import merge
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple
from uuid import UUID

from bus.disclosures.disclosure import Disclosure
from bus.disclosures.question import Found, Mark, Part, Question, conditions
from bus.errors import StorageUnusable

FILE = "disclosures.db"

AT_ONCE = 5_000
"""Disclosures that one commit deletes, or one step of a long answer reads."""

_BUSY_SECONDS = 5.0
_MS = timedelta(milliseconds=1)
_TABLES = """
create table if not exists reach (
    partition integer primary key,
    following integer not null
) strict;
create table if not exists origin (topic_id text not null) strict;
create table if not exists terms (
    id integer primary key,
    owner text not null,
    recipient text not null,
    topic text not null,
    grants text not null,
    purposes text not null,
    fields text not null,
    unique (owner, recipient, topic, grants, purposes, fields)
) strict;
create table if not exists told (
    partition integer not null,
    offset integer not null,
    number integer not null,
    owner text not null,
    recipient text not null,
    terms integer not null,
    subject text not null,
    event blob not null,
    at_ms integer not null,
    source integer not null,
    source_offset integer,
    primary key (partition, offset, number)
) strict, without rowid;
create index if not exists told_at on told (at_ms);
create index if not exists told_owner on told (owner, at_ms);
create index if not exists told_subject on told (subject, owner, at_ms);
create index if not exists told_recipient on told (recipient, at_ms);
create index if not exists told_event on told (event);
"""
_PUT = "insert or ignore into told values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_REACH = (
    "insert into reach values (?, ?) on conflict (partition) do update set "
    "following = excluded.following"
)
_TERMS = """
insert or ignore into terms (owner, recipient, topic, grants, purposes, fields)
values (?, ?, ?, ?, ?, ?)
"""
_TERMS_ID = """
select id from terms
where (owner, recipient, topic, grants, purposes, fields) = (?, ?, ?, ?, ?, ?)
"""
_EMPTY = ("delete from told", "delete from terms", "delete from reach", "delete from origin")
_OLD = "select partition, offset, number from told where at_ms < ? order by at_ms limit ?"
_FIND = """
select told.partition, told.offset, told.number, told.subject, told.event, told.at_ms, told.source,
    told.source_offset, terms.owner, terms.recipient, terms.topic, terms.grants, terms.purposes,
    terms.fields
from told cross join terms on told.terms = terms.id where {where}
order by told.at_ms desc, told.partition desc, told.offset desc, told.number desc limit ?
"""
Read = Sequence[tuple[int, Sequence[Disclosure]]]
"""What records of a partition tell of, by their offsets."""


class Reach(NamedTuple):
    """How far the copy has come.

    Args:
        topic_id: the engine's id of the topic that was read; empty: none yet.
        following: the offset of the next record to be read, by partition.
    """

    topic_id: str
    following: Mapping[int, int]


class Store:
    """The copy; any thread may use it, one at a time.

    Args:
        data: the node's data folder, which is made.

    Raises:
        StorageUnusable: it cannot be opened.
    """

    def __init__(self, data: Path) -> None:
        self._file, self._lock = data / FILE, Lock()
        try:
            data.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._connection = sqlite3.connect(
                self._file, timeout=_BUSY_SECONDS, check_same_thread=False
            )
            try:
                self._connection.execute("pragma journal_mode = wal")
                # A power cut may cost the last commits, which are read again.
                self._connection.execute("pragma synchronous = normal")
                self._connection.execute("pragma secure_delete = on")  # it names persons
                self._connection.executescript(_TABLES)
            except BaseException:
                self._connection.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        """Close it."""
        with self._lock:
            self._connection.close()

    def reach(self) -> Reach:
        """Return how far the copy has come."""
        with self._transaction() as connection:
            found = connection.execute("select topic_id from origin").fetchone()
            following = dict(connection.execute("select partition, following from reach"))
        return Reach(found[0] if found else "", following)

    def begin(self, topic_id: str) -> None:
        """Forget all, and begin to copy a topic from its start."""
        with self._transaction() as connection:
            for emptied in _EMPTY:
                connection.execute(emptied)
            connection.execute("insert into origin values (?)", (topic_id,))
        self._clean()

    def add(self, partition: int, read: Read, following: int) -> None:
        """Keep what records tell of, and that they were read, in one commit.

        Args:
            partition: of the topic.
            read: by offset; what was kept before is left as it is.
            following: the offset of the next record to be read.
        """
        with self._transaction() as connection:
            known: dict[tuple[object, ...], int] = {}
            for offset, disclosures in read:
                rows = [
                    (partition, offset, number, *_row(connection, known, one))
                    for number, one in enumerate(disclosures)
                ]
                connection.executemany(_PUT, rows)
            connection.execute(_REACH, (partition, following))

    def forget(self, before_ms: int) -> int:
        """Delete what was told before a time, some of it at a time; return how many there were."""
        forgotten = 0
        while True:
            with self._transaction() as connection:
                old = connection.execute(_OLD, (before_ms, AT_ONCE)).fetchall()
                connection.executemany(
                    "delete from told where partition = ? and offset = ? and number = ?", old
                )
            forgotten += len(old)
            if len(old) < AT_ONCE:
                break
        if forgotten:
            self._clean()
        return forgotten

    def find(self, question: Question, most: int, before: Mark | None = None) -> Part:
        """Return disclosures, the newest first.

        Args:
            question: which ones.
            most: no more than these.
            before: where the part before this one ended.
        """
        with self._transaction() as connection:
            answers = [
                connection.execute(_FIND.format(where=where), (*values, most + 1)).fetchall()
                for where, values in conditions(question, before)
            ]
        each = [map(_found, rows) for rows in answers]
        found = [*islice(merge(*each, key=lambda one: one.mark, reverse=True), most + 1)]
        following = found[most - 1].mark if len(found) > most else None
        return Part(found[:most], following)

    def of_day(self, day: date, question: Question) -> Iterator[Disclosure]:
        """Yield the disclosures of a day (UTC), the newest first, some read at a time.

        Args:
            day: the day.
            question: which ones; its times do not count.
        """
        begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
        since = (begin - datetime(1970, 1, 1, tzinfo=UTC)) // _MS
        wanted = question._replace(since_ms=since, until_ms=since + timedelta(days=1) // _MS)
        part = self.find(wanted, AT_ONCE)
        while True:
            yield from (one.disclosure for one in part.found)
            if part.following is None:
                return
            part = self.find(wanted, AT_ONCE, part.following)

    def _clean(self) -> None:
        """Have what was deleted leave the write-ahead log, too, as far as nobody reads it."""
        try:
            with self._lock:
                self._connection.execute("pragma wal_checkpoint(truncate)")
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock, self._connection as connection:
                yield connection
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> StorageUnusable:
        reason = getattr(error, "strerror", None) or error
        return StorageUnusable(
            f"disclosures cannot be read or kept: {reason}",
            where=str(self._file),
            remedy="let this user read and write the file; if it is damaged, delete it: it is made "
            "anew from its topic",
        )


def _row(
    connection: sqlite3.Connection, known: dict[tuple[object, ...], int], one: Disclosure
) -> tuple[object, ...]:
    terms = one.owner, one.recipient, one.topic, one.grants, one.purposes, one.fields
    number = known.get(terms)
    if number is None:
        written = (
            one.owner,
            one.recipient,
            one.topic,
            json.dumps([grant.hex() for grant in one.grants]),
            json.dumps(one.purposes),
            json.dumps(one.fields),
        )
        connection.execute(_TERMS, written)
        (number,) = connection.execute(_TERMS_ID, written).fetchone()
        known[terms] = number
    return (
        one.owner,
        one.recipient,
        number,
        one.subject,
        UUID(one.event).bytes,
        one.at_ms,
        one.partition,
        one.offset,
    )


def _found(row: Sequence[Any]) -> Found:
    mark = Mark(at_ms=row[5], partition=row[0], offset=row[1], number=row[2])
    *_, subject, event, at_ms, source, source_offset = row[:8]
    owner, recipient, topic, *lists = row[8:]
    grants, purposes, fields = _lists(*lists)
    disclosure = Disclosure(
        subject,
        owner,
        recipient,
        grants,
        purposes,
        str(UUID(bytes=event)),
        fields,
        at_ms,
        topic,
        source,
        source_offset,
    )
    return Found(mark, disclosure)


@lru_cache(1024)  # few terms, many disclosures
def _lists(
    grants: str, purposes: str, fields: str
) -> tuple[tuple[bytes, ...], tuple[str, ...], tuple[str, ...]]:
    return (
        tuple(bytes.fromhex(one) for one in json.loads(grants)),
        tuple(json.loads(purposes)),
        tuple(json.loads(fields)),
    )
