"""One run of the counts' publisher: from files to receipts."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

from bus.event import Draft
from bus.settings import Settings
from producers.counts.announcement import TOPIC, draft
from producers.counts.feed import Cell, feed
from producers.counts.position import Positions
from producers.pacing import Pace
from producers.progress import Progress
from producers.publishing import Stream, connected
from producers.refusals import Refusals

ZONE = ZoneInfo("Europe/Berlin")
SHIPPED = ("100031297_2026-07.csv", "100034978_2026-07.csv", "300037926_2026-07.csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a run is asked to do; `producers/counts/__main__.py` explains the fields."""

    files: Sequence[Path]
    state: Path
    system: str
    municipality: str
    rate: float | None
    limit: int | None
    patience: float
    wait: float


async def publish(
    job: Job, settings: Settings, stop: asyncio.Event, progress: Progress
) -> int | None:
    """Publish the readings that the last run did not, and return the exit code.

    Raises:
        InvalidInput: a file cannot be used as a whole.
        BusError: the state or the bus cannot be used.
    """
    refusals = Refusals()
    with Positions(job.state) as positions, _files(job) as paths:
        source = _Readings(job, positions, feed(paths, positions, ZONE, refusals.note))
        async with connected(job.system, settings, TOPIC, job.wait, stop) as publisher:
            progress.ready(f"{len(paths)} stations; publishing on {TOPIC}")
            stream = Stream(
                topic=TOPIC,
                source=source,
                pace=Pace.of(job.rate),
                limit=job.limit,
                patience=job.patience,
            )
            complete = await stream.run(publisher, stop, progress)
    progress.done()
    return refusals.exit_code(complete=complete)


@dataclass(slots=True)
class _Readings:
    """The cells of all files, as a source of events."""

    job: Job
    positions: Positions
    cells: Iterator[Cell]
    taken: list[Cell] = field(default_factory=list)

    def take(self, most: int) -> Sequence[Draft]:
        self.taken = list(islice(self.cells, most))
        return [draft(self.job.municipality, self.job.system, cell.reading) for cell in self.taken]

    def settle(self) -> None:
        self.positions.advance({cell.file: (cell.channels, cell.cells) for cell in self.taken})


@contextmanager
def _files(job: Job) -> Iterator[Sequence[Path]]:
    if job.files:
        yield job.files
        return
    with ExitStack() as opened:
        folder = files("producers.counts") / "data"
        yield [opened.enter_context(as_file(folder / name)) for name in SHIPPED]
