"""Effect and position in one transaction of the subscriber's own database.

The position is moved first, and only from where this subscriber believes it to be; so a subscriber
that was taken for dead and woke up again cannot apply what its successor has applied.
"""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from bus.errors import Conflict
from bus.kafka import Place

T = TypeVar("T")

Work = Callable[[Connection], None]


class Inbox:
    """Positions of groups in a database, moved together with what events do to it.

    Args:
        database: an SQLAlchemy URL (``sqlite:///book.db``, ``postgresql+psycopg://…``) or engine.
        table: the name of the table of positions.
    """

    def __init__(self, database: str | Engine, table: str = "stadtbus_inbox") -> None:
        self.engine = database if isinstance(database, Engine) else _engine(database)
        metadata = MetaData()
        self._table = Table(
            table,
            metadata,
            Column("group", String(255), primary_key=True),
            Column("topic", String(255), primary_key=True),
            Column("partition", Integer, primary_key=True),
            Column("position", BigInteger, nullable=False),
        )
        # SQLite has one writer at a time; a queue is quicker than its lock.
        workers = 1 if self.engine.dialect.name == "sqlite" else 4
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="stadtbus-inbox")

    async def open(self) -> None:
        """Make the table of positions if it is missing."""
        await self._run(lambda: self._table.metadata.create_all(self.engine))

    def close(self) -> None:
        """Wait for the transaction at hand, and let go of the connections."""
        self._threads.shutdown()
        self.engine.dispose()

    async def positions(self, group: str, places: Iterable[Place]) -> dict[Place, int]:
        """Return the positions that are known."""
        return await self._run(self._positions, group, frozenset(places))

    async def begin(self, group: str, place: Place, position: int) -> None:
        """Note where a partition is read from for the first time; a known position stays."""
        await self._run(self._begin, group, place, position)

    async def apply(self, group: str, place: Place, before: int, after: int, work: Work) -> None:
        """Do work and move a position in one transaction.

        Args:
            group: whose position.
            place: in which partition.
            before: where the position is.
            after: where it goes.
            work: what the events do; called in another thread.

        Raises:
            Conflict: the position is elsewhere; nothing was done.
            Exception: what the work raised; nothing was done.
        """
        await self._run(self._apply, group, place, before, after, work)

    async def _run(self, call: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)

    def _where(self, group: str, place: Place) -> Any:
        c = self._table.c
        return (c.group == group) & (c.topic == place[0]) & (c.partition == place[1])

    def _positions(self, group: str, places: frozenset[Place]) -> dict[Place, int]:
        c = self._table.c
        query = select(c.topic, c.partition, c.position).where(c.group == group)
        with self.engine.connect() as connection:
            found = {(topic, part): position for topic, part, position in connection.execute(query)}
        return {place: position for place, position in found.items() if place in places}

    def _begin(self, group: str, place: Place, position: int) -> None:
        row = {"group": group, "topic": place[0], "partition": place[1], "position": position}
        try:
            with self.engine.begin() as connection:
                connection.execute(insert(self._table), row)
        except IntegrityError:
            return  # another member was quicker, and its position counts

    def _apply(self, group: str, place: Place, before: int, after: int, work: Work) -> None:
        where = self._where(group, place) & (self._table.c.position == before)
        with self.engine.begin() as connection:
            moved = connection.execute(update(self._table).where(where).values(position=after))
            if moved.rowcount != 1:
                raise Conflict(
                    f"the position of {group} is not {before}", where=f"{place[0]}-{place[1]}"
                )
            work(connection)


def _engine(url: str) -> Engine:
    engine = create_engine(make_url(url))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _tune)
    return engine


def _tune(connection: Any, _: Any) -> None:
    """Set SQLite to write ahead without a sync for each commit.

    After a power cut the last transactions may be missing, each with its position, and are applied
    again: nothing is lost or applied twice.
    """
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
