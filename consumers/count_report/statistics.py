"""One run of the count report: readings in, daily totals out."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Engine

from bus.cli.options import Format
from bus.cli.output import show
from bus.event import Event
from bus.settings import Settings
from bus.subscriber import Subscriber
from consumers.count_report.totals import METADATA, keep, streams, totals
from consumers.progress import Progress
from consumers.receiving import inbox_of, receive

TOPIC = "sensor.reading.v1"
COLUMNS = ("station", "counted", "day", "total", "readings", "expected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a run is asked to do; `consumers/count_report/__main__.py` explains the fields."""

    database: str
    delay: float
    promise: float | None
    output: Format


async def keep_totals(
    job: Job, settings: Settings, stop: asyncio.Event, progress: Progress
) -> None:
    """Keep readings until `stop` is set, then print the totals for people.

    Raises:
        BusError: the database or the bus cannot be used.
    """

    def handle(events: Sequence[Event], connection: Connection) -> None:
        keep(connection, events)
        time.sleep(job.delay)

    async with inbox_of(job.database, METADATA.create_all, progress) as inbox:
        subscriber = Subscriber(progress.group, [TOPIC], settings, inbox=inbox, promise=job.promise)
        await receive(subscriber, handle, stop, progress, in_batches=not job.delay)
        if job.output is Format.table:
            _print(inbox.engine, job.output)


async def print_totals(job: Job, progress: Progress) -> None:
    """Print the totals so far.

    Raises:
        BusError: the database cannot be used.
    """
    async with inbox_of(job.database, METADATA.create_all, progress) as inbox:
        _print(inbox.engine, job.output)


def _print(engine: Engine, output: Format) -> None:
    with engine.connect() as connection:
        rows = [asdict(total) for total in totals(streams(connection))]
    show("totals", rows, COLUMNS, output)
