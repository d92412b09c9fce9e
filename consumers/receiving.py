"""Receiving into a database: each event's effect and the position in one transaction."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress

from sqlalchemy import Connection
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from bus.errors import InvalidSettings, StorageUnusable
from bus.event import Event
from bus.kafka import Place
from bus.subscriber import Inbox, Subscriber
from consumers.progress import Progress

Handle = Callable[[Sequence[Event], Connection], None]
Work = Callable[[Connection], None]

_HANDLED = "stadtbus.handled"
"""Where a connection notes the ids of events that the transaction at hand has handled."""


class ToldInbox(Inbox):
    """An inbox that tells of events once their transaction is committed, and not before.

    Args:
        database: an SQLAlchemy URL.
        progress: is told.
    """

    def __init__(self, database: str, progress: Progress) -> None:
        super().__init__(database)
        self._progress = progress

    async def apply(self, group: str, place: Place, before: int, after: int, work: Work) -> None:
        """Do work and move a position in one transaction, then tell of the work's events."""
        handled: list[str] = []

        def noted(connection: Connection) -> None:
            connection.info[_HANDLED] = handled
            work(connection)

        await super().apply(group, place, before, after, noted)
        if handled:
            self._progress.delivered(handled)


@asynccontextmanager
async def inbox_of(
    database: str, create: Callable[[Connection], None], progress: Progress
) -> AsyncIterator[ToldInbox]:
    """Open a database with the tables that a program needs.

    Args:
        database: an SQLAlchemy URL.
        create: makes the program's own tables.
        progress: is told of what is committed.

    Raises:
        InvalidSettings: this is no URL, or there is no driver for it.
        StorageUnusable: the database cannot be reached or written, now or while it is in use.
    """
    with _our_errors(database):
        inbox = ToldInbox(database, progress)
        try:
            await inbox.open()
            with inbox.engine.begin() as connection:
                create(connection)
            yield inbox
        finally:
            inbox.close()


async def receive(
    subscriber: Subscriber,
    handle: Handle,
    stop: asyncio.Event,
    progress: Progress,
    *,
    in_batches: bool = True,
) -> None:
    """Hand events to a handler until `stop` is set; what is at hand is committed first.

    Args:
        subscriber: with a `ToldInbox`.
        handle: does what events say, inside the transaction of the connection that it is given.
        stop: ends it.
        progress: is told.
        in_batches: the handler gets many events at a time, else one.

    Raises:
        BusError: registry or engine cannot be reached, or a position is lost.
    """

    def many(events: Sequence[Event], connection: Connection) -> None:
        handle(events, connection)
        connection.info[_HANDLED].extend(event.id for event in events)

    def one(event: Event, connection: Connection) -> None:
        many([event], connection)

    async with subscriber:
        progress.ready()
        stopping = asyncio.create_task(_stop_when(stop, subscriber))
        try:
            if in_batches:
                await subscriber.run_batches(many)
            else:
                await subscriber.run(one)
        finally:
            stopping.cancel()
            with suppress(asyncio.CancelledError):
                await stopping
    progress.done()


async def _stop_when(stop: asyncio.Event, subscriber: Subscriber) -> None:
    await stop.wait()
    subscriber.stop()


@contextmanager
def _our_errors(database: str) -> Iterator[None]:
    place = database.rsplit("@", maxsplit=1)[-1]  # the part before it holds the password
    try:
        yield
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise InvalidSettings(
            f"cannot be used: {error}",
            where=f"--database {place}",
            remedy="give an SQLAlchemy URL such as sqlite:///book.db, and install its driver",
        ) from error
    except DBAPIError as error:
        raise StorageUnusable(
            f"cannot be used: {error.orig}",
            where=f"--database {place}",
            remedy="check the path or address, and that it may be written",
        ) from error
