"""One run of the traffic publisher: from a file to receipts."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path

from bus.settings import Settings
from producers.position import Positions
from producers.progress import Progress
from producers.publishing import Stream, connected
from producers.refusals import Refusals
from producers.traffic.announcement import TOPIC, draft
from producers.traffic.replay import Replay

SHIPPED = "load_2014-01-15_05-11.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a run is asked to do; `producers/traffic/__main__.py` explains the fields."""

    file: Path | None
    state: Path
    system: str
    municipality: str
    speed: float
    limit: int | None
    patience: float
    wait: float


async def publish(
    job: Job, settings: Settings, stop: asyncio.Event, progress: Progress
) -> int | None:
    """Publish what the last run did not, and return the exit code.

    Raises:
        InvalidInput: the file cannot be used as a whole.
        BusError: the state or the bus cannot be used.
    """
    refusals = Refusals()
    with Positions(job.state) as positions, _file(job) as path:
        announce = partial(draft, job.municipality, job.system)
        replay = Replay(path, positions, job.speed, announce, refusals.note)
        async with connected(job.system, settings, TOPIC, job.wait, stop) as publisher:
            progress.ready(f"{path.name}, {job.speed:g} times as fast; publishing on {TOPIC}")
            stream = Stream(
                topic=TOPIC, source=replay, pace=replay, limit=job.limit, patience=job.patience
            )
            complete = await stream.run(publisher, stop, progress)
    progress.done()
    return refusals.exit_code(complete=complete)


@contextmanager
def _file(job: Job) -> Iterator[Path]:
    if job.file:
        yield job.file
        return
    with as_file(files("producers.traffic").joinpath("data", SHIPPED)) as path:
        yield path
