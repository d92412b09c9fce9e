"""The transactions' states, as their coordinator keeps them, and what was aborted."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from bus.broker.storage.positions import Position
from bus.broker.transactions.state import Aborted, Identity, Place, State, Transaction

TABLES: tuple[str, ...] = (
    """create table transactions (
        name text primary key, producer integer not null, epoch integer not null,
        last_producer integer not null, last_epoch integer not null, timeout integer not null,
        state text not null, started integer not null, updated integer not null,
        partitions text not null, consumers text not null, positions text not null
    ) without rowid""",
    """create table aborted (
        partition integer, last integer, first integer not null, producer integer not null,
        stable integer not null, primary key (partition, last)
    ) without rowid""",
)


class Transactions:
    """The transactions' states, as their coordinator keeps them, and what was aborted."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def all(self) -> dict[str, Transaction]:
        """Return all transactions by transactional id."""
        stored = self._db.execute(
            "select name, producer, epoch, last_producer, last_epoch, timeout, state, started, "
            "updated, partitions, consumers, positions from transactions"
        )
        return {row[0]: _read(*row) for row in stored}

    def write(self, changed: Iterable[Transaction]) -> None:
        """Store transactions; those that are dead are deleted."""
        for one in changed:
            if one.state is State.DEAD:
                self._db.execute("delete from transactions where name = ?", (one.name,))
                continue
            self._db.execute(
                "insert or replace into transactions "
                "(name, producer, epoch, last_producer, last_epoch, timeout, state, started, "
                "updated, partitions, consumers, positions) "
                "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    one.name,
                    *one.identity,
                    *one.last,
                    one.timeout,
                    one.state.value,
                    one.started,
                    one.updated,
                    json.dumps(sorted(one.partitions)),
                    json.dumps(sorted(one.groups)),
                    json.dumps(list(_packed(one))),
                ),
            )

    def abort(self, aborted: Iterable[Aborted]) -> None:
        """Store what was written in vain."""
        self._db.executemany(
            "insert into aborted (partition, producer, first, last, stable) values (?, ?, ?, ?, ?)",
            aborted,
        )

    def newest_aborted(self) -> dict[int, int]:
        """Return the offset of the last mark that aborted something, by partition."""
        found = self._db.execute("select partition, max(last) from aborted group by partition")
        return {int(partition): int(last) for partition, last in found}

    def unmark(self, partition: int, marks: Iterable[int]) -> None:
        """Forget what was aborted by these marks: neither it nor they are in the log any more."""
        self._db.executemany(
            "delete from aborted where partition = ? and last = ?",
            [(partition, mark) for mark in marks],
        )

    def forget_aborted(self, partition: int, start: int) -> None:
        """Forget what was aborted before a partition's first offset."""
        self._db.execute("delete from aborted where partition = ? and last < ?", (partition, start))


def _read(
    name: str,
    producer: int,
    epoch: int,
    last_producer: int,
    last_epoch: int,
    timeout: int,
    state: str,
    started: int,
    updated: int,
    partitions: str,
    groups: str,
    positions: str,
) -> Transaction:
    kept = list(_unpacked(json.loads(positions)))
    return Transaction(
        name=name,
        producer=producer,
        epoch=epoch,
        last=Identity(last_producer, last_epoch),
        timeout=timeout,
        state=State(state),
        started=started,
        updated=updated,
        partitions=frozenset(json.loads(partitions)),
        groups=frozenset(json.loads(groups)),
        positions={place: position for place, position, _ in kept},
        turns={place: turn for place, _, turn in kept},
    )


def _packed(one: Transaction) -> Iterator[list[Any]]:
    """Yield a transaction's positions as they are stored."""
    for place, position in one.positions.items():
        yield [*place, *position, one.turns.get(place, 0)]


def _unpacked(stored: Iterable[Any]) -> Iterator[tuple[Place, Position, int]]:
    for group, topic, index, offset, epoch, note, turn in stored:
        yield (group, topic, index), Position(offset, epoch, note), turn
