"""What a lane's records go through: of open contracts one by one, of restricted ones with more."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from bus.disclosures import Disclosure
from bus.event import Event
from bus.kafka import Fetched
from bus.router.routing import Passed, Refused, Route, Write
from bus.subscriber.decoding import Decoder


@dataclass(slots=True)
class Portion:
    """What one transaction writes.

    Args:
        after: the offset that follows the last record of the shared topic in it.
        writes: where what goes.
        disclosures: who is told what.
        events: those that are passed on, with their records' offsets.
        repeats: how many were there before.
        refused: how many are refused, by reason.
        began: the offset of the next record before it.
    """

    after: int
    writes: list[Write] = field(default_factory=list)
    disclosures: list[Disclosure] = field(default_factory=list)
    events: list[tuple[int, Event]] = field(default_factory=list)
    repeats: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    began: int = 0


class OutOfDate(Exception):
    """What decided about a portion is not so any more: it has to be made anew."""


class Course(Protocol):
    """What a lane asks of the contract's way of routing."""

    @property
    def is_due(self) -> bool:
        """Whether there is something to write beside new records."""

    async def load(self, wake: Callable[[], None]) -> None:
        """Learn what was written before, now that nobody else writes.

        Args:
            wake: to be called when something is due.
        """

    async def begin(self, portion: Portion) -> None:
        """Look up what decides, and put into a portion what is due beside its records."""

    def take(self, record: Fetched) -> Passed | Refused:
        """Return what becomes of a record."""

    async def learn(self, schema_id: int) -> None:
        """Ask for a schema that was not met before."""

    def passed(self, portion: Portion, record: Fetched, verdict: Passed) -> None:
        """Put into a portion what a record becomes that is passed on."""

    def repeated(self, record: Fetched, event: Event) -> None:
        """Note that an event is there once more."""

    async def finish(self, portion: Portion) -> float | None:
        """Put into a portion what it changes itself.

        Returns:
            Until when it may be written, in seconds of `boot_clock`; None if there is no hurry.

        Raises:
            OutOfDate: it has to be made anew.
        """

    def settle(self) -> None:
        """Take what was written for true."""

    def undo(self) -> None:
        """Forget what was not written."""

    def close(self) -> None:
        """End."""


class OpenCourse:
    """The way of an open contract: nothing but its records.

    Args:
        route: what becomes of a record.
        decoder: learns schemas that the route meets.
    """

    is_due = False

    def __init__(self, route: Route, decoder: Decoder) -> None:
        self._route = route
        self.take, self.learn = route.take, decoder.learn

    async def load(self, wake: Callable[[], None]) -> None:
        """Nothing was written but what feeds hold."""

    async def begin(self, portion: Portion) -> None:
        """Nothing is due beside records."""

    def passed(self, portion: Portion, record: Fetched, verdict: Passed) -> None:
        """Put what feeds get into a portion."""
        portion.writes += verdict.writes
        portion.events.append((record.offset, verdict.event))

    def repeated(self, record: Fetched, event: Event) -> None:
        """A repeat changes nothing."""

    async def finish(self, portion: Portion) -> float | None:
        """Nothing is to be added, and there is no hurry."""
        return None

    def settle(self) -> None:
        """Nothing is remembered."""

    def undo(self) -> None:
        """Nothing is remembered."""

    def close(self) -> None:
        """Nothing is held."""
