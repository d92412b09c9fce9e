"""One run of the register's publisher: from a file to receipts."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from importlib.resources import as_file, files
from pathlib import Path

from bus.errors import InvalidInput
from bus.event import Draft
from bus.settings import Settings
from producers.address_register import prudence
from producers.address_register.announcement import TOPIC, announcement, dated, moment
from producers.address_register.difference import difference
from producers.address_register.snapshot import Snapshot, day_of, read
from producers.address_register.state import Pending, State, new_address_id
from producers.pacing import Pace
from producers.progress import Progress
from producers.publishing import Stream, connected

SHIPPED = "berlin.csv"
SHIPPED_DAY = date(2023, 6, 30)
"""The source says June 2023 and names no day; by its end all of it was in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a run is asked to do; `producers/address_register/__main__.py` explains the fields."""

    file: Path | None
    day: date | None
    state: Path
    system: str
    municipality: str
    allow_empty: bool
    allow_shrink: bool
    rate: float | None
    limit: int | None
    patience: float
    wait: float


async def publish(job: Job, settings: Settings, stop: asyncio.Event, progress: Progress) -> None:
    """Take over a snapshot and publish what it changed, and what is left of earlier ones.

    Raises:
        InvalidInput: the snapshot cannot be used.
        BusError: the state or the bus cannot be used.
    """
    with State(job.state) as state:
        with _snapshot(job) as (path, day):
            changed = take_over(state, read(path, day), path, job)
        async with connected(job.system, settings, TOPIC, job.wait, stop) as publisher:
            progress.ready(f"{changed:,} changes since the last snapshot; publishing on {TOPIC}")
            stream = Stream(
                topic=TOPIC,
                source=_Outbox(state),
                pace=Pace.of(job.rate),
                limit=job.limit,
                patience=job.patience,
            )
            await stream.run(publisher, stop, progress)
    progress.done()


def take_over(state: State, snapshot: Snapshot, path: Path, job: Job) -> int:
    """Compare a snapshot with the register as it was, keep what changed, and return how many.

    Raises:
        InvalidInput: it is older than the last one, or would withdraw too many addresses.
    """
    _check_order(state, path, snapshot)
    known, former = state.known(), state.former()
    changes = difference(
        known, snapshot.rows, lambda location: former.get(location) or new_address_id()
    )
    prudence.check(
        path,
        snapshot,
        len(known),
        changes,
        allow_empty=job.allow_empty,
        allow_shrink=job.allow_shrink,
    )
    state.accept(snapshot, changes, (announcement(change, job.municipality) for change in changes))
    return len(changes)


class _Outbox:
    """What is pending in the state, as a source of events."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._taken: list[Pending] = []

    def take(self, most: int) -> Sequence[Draft]:
        self._taken = self._state.pending(most)
        return [
            Draft(id=item.event, time=moment(item.day), data=dated(item.data, item.day))
            for item in self._taken
        ]

    def settle(self) -> None:
        self._state.settle(self._taken)


@contextmanager
def _snapshot(job: Job) -> Iterator[tuple[Path, date]]:
    """Give the snapshot's file and its day for a while."""
    if job.file:
        yield job.file, job.day or day_of(job.file)
        return
    with as_file(files("producers.address_register").joinpath("data", SHIPPED)) as path:
        yield path, job.day or SHIPPED_DAY


def _check_order(state: State, path: Path, snapshot: Snapshot) -> None:
    last = state.last_day()
    if last and snapshot.day < last:
        raise InvalidInput(
            f"shows {snapshot.day}, but {last} was published already",
            where=str(path),
            remedy="give a later snapshot, or say with --date which day this one shows",
        )
