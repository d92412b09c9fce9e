"""One run of the address book: events in, addresses in force."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from bus.event import Event
from bus.settings import Settings
from bus.subscriber import Subscriber
from consumers.address_book.book import Book
from consumers.address_book.rebuild import rebuild
from consumers.progress import Progress
from consumers.receiving import inbox_of, receive

TOPIC = "address.building-changed.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a run is asked to do; `consumers/address_book/__main__.py` explains the fields."""

    database: str
    rebuild: bool
    promise: float | None


async def mirror(job: Job, settings: Settings, stop: asyncio.Event, progress: Progress) -> None:
    """Keep the addresses in force until `stop` is set.

    Raises:
        BusError: the database or the bus cannot be used.
    """
    book = Book.named()

    def handle(events: Sequence[Event], connection: Connection) -> None:
        book.apply(connection, events)

    async with inbox_of(job.database, book.create, progress) as inbox:
        if job.rebuild:
            await rebuild(book, inbox, progress.group, TOPIC, settings, stop)
        subscriber = Subscriber(progress.group, [TOPIC], settings, inbox=inbox, promise=job.promise)
        await receive(subscriber, handle, stop, progress)
