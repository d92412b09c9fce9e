"""Groups' positions."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

TABLES = (
    """create table positions (
        consumers text, topic text, ordinal integer, position integer not null,
        epoch integer not null, note text not null, committed integer not null,
        primary key (consumers, topic, ordinal)
    ) without rowid""",
)
SINCE_1: tuple[str, ...] = ()


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

    def write(self, group: str, positions: Mapping[tuple[str, int], Position], now: int) -> None:
        """Store a group's positions; `now` is in milliseconds since 1970."""
        for (topic, ordinal), position in positions.items():
            self._db.execute(
                "insert or replace into positions values (?, ?, ?, ?, ?, ?, ?)",
                (group, topic, ordinal, *position, now),
            )

    def drop(self, group: str, partitions: Iterable[tuple[str, int]] | None) -> None:
        """Forget a group's positions: those of some partitions, or all if None."""
        if partitions is None:
            self._db.execute("delete from positions where consumers = ?", (group,))
            return
        for topic, ordinal in partitions:
            self._db.execute(
                "delete from positions where consumers = ? and topic = ? and ordinal = ?",
                (group, topic, ordinal),
            )
