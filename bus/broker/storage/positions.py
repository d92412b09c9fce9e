"""Groups' positions."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

# Groups that had members, and since when they have none (in milliseconds since 1970); null while
# they have some.
_CONSUMERS = "create table consumers (name text primary key, emptied integer) without rowid"

TABLES = (
    """create table positions (
        consumers text, topic text, ordinal integer, position integer not null,
        epoch integer not null, note text not null, committed integer not null, expires integer,
        primary key (consumers, topic, ordinal)
    ) without rowid""",
    _CONSUMERS,
)
SINCE_1: tuple[str, ...] = ("alter table positions add column expires integer", _CONSUMERS)

# When a position had its time: at the time that came with it, or so long after its group became
# empty, or so long after it was committed where nobody ever joined or somebody is there.
_OVERDUE = """delete from positions
    where consumers = :group and topic not in (select value from json_each(:kept))
    and coalesce(expires, coalesce(:emptied, committed) + :retention) <= :now
    returning topic, ordinal"""
_NEXT = """select min(coalesce(expires, coalesce(:emptied, committed) + :retention)) from positions
    where consumers = :group and topic not in (select value from json_each(:kept))"""

# A group without positions is gone; one of the same name that comes later is another.
_LEFT = """delete from consumers where name = :group
    and not exists (select 1 from positions where consumers = :group)"""


class Position(NamedTuple):
    """Where a group will go on in one partition."""

    offset: int
    epoch: int
    note: str


class Positions:
    """The positions of all groups."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def all(self) -> Iterator[tuple[str, str, int, Position]]:
        """Yield group, topic, partition and position of all groups."""
        for group, topic, ordinal, offset, epoch, note in self._db.execute(
            "select consumers, topic, ordinal, position, epoch, note from positions"
        ):
            yield group, topic, ordinal, Position(offset, epoch, note)

    def write(
        self,
        group: str,
        positions: Mapping[tuple[str, int], Position],
        now: int,
        expires: int | None = None,
    ) -> None:
        """Store a group's positions.

        Args:
            group: its name.
            positions: by topic and partition.
            now: milliseconds since 1970.
            expires: when they are to be forgotten, if they came with a time of their own.
        """
        for (topic, ordinal), position in positions.items():
            self._db.execute(
                "insert or replace into positions "
                "(consumers, topic, ordinal, position, epoch, note, committed, expires) "
                "values (?, ?, ?, ?, ?, ?, ?, ?)",
                (group, topic, ordinal, *position, now, expires),
            )

    def groups(self) -> dict[str, int | None]:
        """Return since when groups that had members have none; None for those that have some."""
        return dict(self._db.execute("select name, emptied from consumers").fetchall())

    def mark(self, group: str, emptied: int | None) -> None:
        """Keep since when a group has no members; None while it has some."""
        self._db.execute("insert or replace into consumers values (?, ?)", (group, emptied))

    def expire(
        self, group: str, now: int, emptied: int | None, retention: int, kept: Iterable[str]
    ) -> tuple[list[tuple[str, int]], int | None]:
        """Forget a group's positions that had their time.

        Args:
            group: its name.
            now: milliseconds since 1970.
            emptied: since when it has no members; None if it never had any, or has some.
            retention: milliseconds that positions are kept.
            kept: topics in which positions are kept, as members are subscribed to them.

        Returns:
            topics and partitions of those that are gone, and when the next one will be.
        """
        known = {
            "group": group,
            "now": now,
            "emptied": emptied,
            "retention": retention,
            "kept": json.dumps(list(kept)),
        }
        gone = [(topic, index) for topic, index in self._db.execute(_OVERDUE, known)]
        due = self._db.execute(_NEXT, known).fetchone()[0]
        self._db.execute(_LEFT, known)
        return gone, due

    def drop(self, group: str, partitions: Iterable[tuple[str, int]] | None) -> None:
        """Forget a group's positions: those of some partitions, or all if None."""
        if partitions is None:
            self._db.execute("delete from positions where consumers = ?", (group,))
            self._db.execute("delete from consumers where name = ?", (group,))
            return
        for topic, ordinal in partitions:
            self._db.execute(
                "delete from positions where consumers = ? and topic = ? and ordinal = ?",
                (group, topic, ordinal),
            )
