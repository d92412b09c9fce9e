"""What each partition knows of the producers that write to it, and the ids that were given."""

import sqlite3
from collections.abc import Mapping

from bus.broker.sequences import Producer
from bus.broker.stage import ProducerKey

_DAY_MS = 86_400_000

TABLES = (
    """create table producers (
        partition integer, producer integer, epoch integer not null, used integer not null,
        batches blob not null, opened integer, primary key (partition, producer)
    ) without rowid""",
)
SINCE_1: tuple[str, ...] = ("alter table producers add column opened integer",)


class Producers:
    """The states of all producers, by partition."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def reserve(self, count: int) -> int:
        """Return the first of so many producer ids that were never given before."""
        found = self._db.execute("select value from meta where name = 'next_producer'").fetchone()
        first = int(found[0])
        self._db.execute("update meta set value = ? where name = 'next_producer'", (first + count,))
        return first

    def skip(self, first: int) -> None:
        """Give no producer id below this one any more."""
        self._db.execute(
            "update meta set value = max(value, ?) where name = 'next_producer'", (first,)
        )

    def write(self, producers: Mapping[ProducerKey, Producer], now: int) -> None:
        """Store producers' states; `now` is in milliseconds since 1970."""
        for (partition, producer), state in producers.items():
            self._db.execute(
                "insert or replace into producers "
                "(partition, producer, epoch, used, batches, opened) values (?, ?, ?, ?, ?, ?)",
                (partition, producer, state.epoch, now, state.to_bytes(), state.opened),
            )

    def all(self, now: int) -> dict[ProducerKey, Producer]:
        """Return the states of producers that wrote within the last day; forget the others."""
        self.expire(now)
        stored = self._db.execute(
            "select partition, producer, epoch, batches, opened from producers"
        )
        return {
            (partition, producer): Producer.from_bytes(epoch, batches, opened)
            for partition, producer, epoch, batches, opened in stored
        }

    def expire(self, now: int) -> list[ProducerKey]:
        """Forget producers that have not written for a day (Kafka's producer.id.expiration.ms).

        Those whose transaction is open are kept: nobody else knows where it began.
        """
        return self._db.execute(
            "delete from producers where used < ? and opened is null returning partition, producer",
            (now - _DAY_MS,),
        ).fetchall()
