"""Rebuilds the address book beside the old one, and exchanges them in one transaction.

What the group has taken in so far is read again from the start, into tables of its own; readers
have the old ones until the exchange. The exchange replaces rows and not tables, so views, indexes
and rights that others have given them stay, and it takes place only if the group's positions are
where the rebuilt book is: an instance that goes on meanwhile is caught up with first.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import Connection, column, select, table, update

from bus.cli.edge import say
from bus.errors import BadEvent, PositionLost, UndecodableEvent
from bus.event import Event
from bus.kafka import Fetched, LogReader
from bus.schemas import SchemaClient
from bus.settings import Settings
from bus.subscriber import Inbox
from bus.subscriber.decoding import Decoder, UnlearntSchema
from consumers.address_book.book import Book

SUFFIX = "_rebuild"

_INBOX = table(
    "stadtbus_inbox", column("group"), column("topic"), column("partition"), column("position")
)

Positions = dict[int, int]


async def rebuild(
    book: Book, inbox: Inbox, group: str, topic: str, settings: Settings, stop: asyncio.Event
) -> None:
    """Replace a book by what the topic says now, up to where the group is.

    Killed or stopped at any point, it leaves the old book as it was, and can be run again.

    Raises:
        NotFound: the topic or its contract does not exist.
        PositionLost: the topic is not the one that the group has read.
        BusUnavailable: engine or registry cannot be reached.
    """
    fresh = Book.named(SUFFIX)
    with inbox.engine.begin() as connection:
        fresh.drop(connection)
        fresh.create(connection)
    async with SchemaClient.of(settings, settings.cache) as registry:
        decoder = Decoder(await registry.contract(topic), registry)
        async with LogReader(settings.kafka) as reader:
            replay = _Replay(fresh, inbox, decoder, reader, topic, stop)
            while not (done := await replay.caught_up(book, group)) and not stop.is_set():
                pass
    with inbox.engine.begin() as connection:
        fresh.drop(connection)
    say(f"rebuilt from {replay.events:,} events" if done else "stopped; the book is as it was")


class _Replay:
    """Reads a topic from the start into a fresh book."""

    def __init__(
        self,
        fresh: Book,
        inbox: Inbox,
        decoder: Decoder,
        reader: LogReader,
        topic: str,
        stop: asyncio.Event,
    ) -> None:
        self._fresh, self._inbox, self._decoder = fresh, inbox, decoder
        self._reader, self._topic, self._stop = reader, topic, stop
        self._done: Positions = {}
        self.events = 0

    async def caught_up(self, book: Book, group: str) -> bool:
        """Read up to the group's positions; exchange the books if they are still there then."""
        with self._inbox.engine.begin() as connection:
            goal = self._locked_positions(connection, group)
        bounds = await self._reader.bounds(self._topic)
        for partition, end in goal.items():
            first, last = bounds.get(partition, (0, 0))
            if end > last:
                raise PositionLost(
                    f"{group} has read up to {end}, but the topic ends at {last}",
                    where=f"{self._topic}-{partition}",
                    remedy="this is another topic of the same name: begin with a new database",
                )
            await self._read(partition, self._done.get(partition, first), end)
        if self._stop.is_set():
            return False
        self._done = goal
        with self._inbox.engine.begin() as connection:
            if self._locked_positions(connection, group) != goal:
                return False
            book.take_over(connection, self._fresh)
        return True

    def _locked_positions(self, connection: Connection, group: str) -> Positions:
        """Return the group's positions; nobody else moves them before the transaction ends."""
        c = _INBOX.c
        where = (c.group == group) & (c.topic == self._topic)
        connection.execute(update(_INBOX).where(where).values(position=c.position))
        found = connection.execute(select(c.partition, c.position).where(where))
        return dict(found.tuples().all())

    async def _read(self, partition: int, offset: int, end: int) -> None:
        while offset < end and not self._stop.is_set():
            records = await self._reader.read(self._topic, partition, offset)
            events = [await self._event(record) for record in records if record.offset < end]
            with self._inbox.engine.begin() as connection:
                self._apply(connection, [event for event in events if event])
            offset = records[-1].offset + 1 if records else offset

    async def _event(self, record: Fetched) -> Event | None:
        """Return what a record says; None if it is a dead letter since the group came by."""
        try:
            return self._decoder.event(record)
        except UnlearntSchema as unlearnt:
            try:
                await self._decoder.learn(unlearnt.schema_id)
                return self._decoder.event(record)
            except UndecodableEvent:
                return None
        except UndecodableEvent:
            return None

    def _apply(self, connection: Connection, events: Sequence[Event]) -> None:
        try:
            self.events += self._fresh.apply(connection, events)
        except BadEvent:
            # One of them is a dead letter since the group came by; nothing was done yet.
            for event in events:
                with suppress(BadEvent):
                    self.events += self._fresh.apply(connection, [event])
