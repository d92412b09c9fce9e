"""Topics and their partitions."""

import json
import sqlite3
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID, uuid4

TABLES = (
    """create table topics (
        number integer primary key autoincrement, name text not null unique, id blob not null,
        configs text not null
    )""",
    """create table partitions (
        number integer primary key autoincrement, topic integer not null, ordinal integer not null,
        start integer not null default 0, unique (topic, ordinal)
    )""",
)


@dataclass(frozen=True, slots=True)
class StoredTopic:
    """A topic as stored: its partitions' numbers and log starts in order."""

    number: int
    name: str
    id: UUID
    configs: Mapping[str, str]
    partitions: Sequence["StoredPartition"]


class StoredPartition(NamedTuple):
    """A partition as stored: its number, first offset, next offset and the bytes of its rows."""

    number: int
    start: int
    end: int
    size: int = 0


class Topics:
    """All topics.

    Args:
        db: the database.
        end: returns a partition's next offset of its number and first offset.
        size: returns the bytes of a partition's rows of its number.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        end: Callable[[int, int], int],
        size: Callable[[int], int],
    ) -> None:
        self._db, self._end, self._size = db, end, size

    def all(self, damaged: Container[int] = ()) -> list[StoredTopic]:
        """Return all topics; a partition whose last row is damaged ends at -1.

        Args:
            damaged: the numbers of partitions that are known to be.
        """
        topics = self._db.execute("select number, name, id, configs from topics").fetchall()
        return [
            StoredTopic(n, name, UUID(bytes=id_), json.loads(configs), self._ends(n, damaged))
            for n, name, id_, configs in topics
        ]

    def _ends(self, topic: int, damaged: Container[int]) -> list[StoredPartition]:
        stored = self._db.execute(
            "select number, start from partitions where topic = ? order by ordinal", (topic,)
        ).fetchall()
        return [
            StoredPartition(
                number,
                start,
                -1 if number in damaged else self._end(number, start),
                self._size(number),
            )
            for number, start in stored
        ]

    def create(self, name: str, partitions: int, configs: Mapping[str, str]) -> StoredTopic:
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

    def begin(self, partition: int, start: int) -> None:
        """Have a partition begin at an offset; it never goes back."""
        self._db.execute(
            "update partitions set start = max(start, ?) where number = ?", (start, partition)
        )

    def drop(self, topic: int, name: str) -> None:
        """Forget a topic and the groups' positions in it; its rows are left to `Log.purge`."""
        self._db.execute(
            "insert into dropped select number from partitions where topic = ?", (topic,)
        )
        self._db.execute(
            "delete from producers where partition in "
            "(select number from partitions where topic = ?)",
            (topic,),
        )
        self._db.execute(
            "delete from aborted where partition in "
            "(select number from partitions where topic = ?)",
            (topic,),
        )
        self._db.execute("delete from partitions where topic = ?", (topic,))
        self._db.execute("delete from topics where number = ?", (topic,))
        self._db.execute("delete from positions where topic = ?", (name,))

    def configure(self, topic: int, configs: Mapping[str, str]) -> None:
        """Replace a topic's configs."""
        self._db.execute(
            "update topics set configs = ? where number = ?", (json.dumps(dict(configs)), topic)
        )
