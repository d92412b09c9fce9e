"""One run of the residents' publisher: from a seed to receipts."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bus.errors import InvalidInput, nearest
from bus.event import Draft, member_of
from bus.settings import Settings
from producers.pacing import Pace
from producers.position import Positions
from producers.progress import Progress
from producers.publishing import Stream, connected
from producers.residents.announcement import TOPIC, draft
from producers.residents.life import Life
from producers.residents.places import municipalities


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a run is asked to do; `producers/residents/__main__.py` explains the fields."""

    state: Path
    system: str
    municipality: str
    seed: int
    rate: float | None
    limit: int | None
    patience: float
    wait: float


async def publish(
    job: Job, settings: Settings, stop: asyncio.Event, progress: Progress
) -> int | None:
    """Publish what happens after the last run, and return the exit code.

    Raises:
        InvalidInput: the municipality is none of the Ilzer Land.
        BusError: the state, the key or the bus cannot be used.
    """
    announced = announcements(job.system, job.municipality, job.seed)
    with Positions(job.state) as positions:
        async with connected(job.system, settings, TOPIC, job.wait, stop) as publisher:
            progress.ready(f"invented people of {job.municipality}; publishing on {TOPIC}")
            stream = Stream(
                topic=TOPIC,
                source=_Register(f"{job.municipality}/{job.seed}", positions, announced),
                pace=Pace.of(job.rate),
                limit=job.limit,
                patience=job.patience,
            )
            await stream.run(publisher, stop, progress)
    progress.done()
    return None


def announcements(system: str, municipality: str, seed: int) -> Iterator[Draft]:
    """Yield the events of one municipality's invented life; there is no end of them.

    Args:
        system: who announces them; its member keeps the register.
        municipality: by its regional key.
        seed: of everything that happens.

    Raises:
        InvalidInput: the municipality is none of the Ilzer Land.
    """
    known = municipalities()
    if municipality not in known:
        raise InvalidInput(
            f'"{municipality}" is no municipality of the Ilzer Land',
            remedy=nearest(municipality, list(known)),
        )
    home = known.pop(municipality)
    return _announcements(system, municipality, Life(seed, home, list(known.values())))


def _announcements(system: str, municipality: str, life: Life) -> Iterator[Draft]:
    register = member_of(system) or system
    for number, change in enumerate(life.changes()):
        event = draft(register, municipality, system, number, change)
        change.person.announced = event.id
        yield event


class _Register:
    """What was not announced yet, as a source of events."""

    def __init__(self, name: str, positions: Positions, announced: Iterator[Draft]) -> None:
        self._name, self._positions = name, positions
        self._done = positions.of(name)
        self._left = islice(announced, self._done, None)

    def take(self, most: int) -> Sequence[Draft]:
        drafts = list(islice(self._left, most))
        self._done += len(drafts)
        return drafts

    def settle(self) -> None:
        self._positions.advance(self._name, self._done)
