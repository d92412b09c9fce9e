"""How a source is emptied: in order, again while the bus is away, and never past a receipt."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from bus.errors import BusError, BusUnavailable, InvalidEvent, InvalidInput
from bus.event import Draft
from bus.publisher import Receipt
from producers.pacing import Pace
from producers.progress import Progress
from producers.publishing import Stream
from producers.refusals import SKIPPED_RECORDS, Refusals


@pytest.mark.parametrize(
    ("complete", "said"),
    [
        pytest.param(True, "1 row was refused; all others were published", id="to its end"),
        pytest.param(False, "1 row was refused; others are still to be", id="stopped before"),
    ],
)
def test_what_is_said_of_refused_rows_is_true(
    capsys: pytest.CaptureFixture[str], complete: bool, said: str
) -> None:
    refusals = Refusals()
    assert refusals.exit_code(complete=complete) is None
    refusals.note(InvalidInput("is no row", where="a.csv:2"))
    assert refusals.exit_code(complete=complete) == SKIPPED_RECORDS
    assert said in capsys.readouterr().err


@dataclass
class Shelf:
    """A source of so many events, and how often it was told that they are out."""

    events: int
    settled: int = 0
    taken: int = 0
    emptied: bool | None = None

    def take(self, most: int) -> Sequence[Draft]:
        first = self.taken
        self.taken = min(self.taken + most, self.events)
        return [Draft(data={}, id=str(number)) for number in range(first, self.taken)]

    def settle(self) -> None:
        self.settled = self.taken


@dataclass
class Moody:
    """A publisher that fails as arranged before it takes anything."""

    failures: list[BusError] = field(default_factory=list)
    calls: list[list[str]] = field(default_factory=list)
    stop: asyncio.Event | None = None

    async def publish_many(self, topic: str, events: Sequence[Draft]) -> list[Receipt]:
        ids = [event.id or "" for event in events]
        self.calls.append(ids)
        if self.stop:
            self.stop.set()
        if self.failures:
            raise self.failures.pop(0)
        return [Receipt(id_, topic, 0, None) for id_ in ids]


async def empty(
    shelf: Shelf,
    bulk: Moody,
    *,
    size: int = 2,
    limit: int | None = None,
    patience: float = 60.0,
    stop: asyncio.Event | None = None,
) -> Progress:
    progress = Progress(json=False)
    stream = Stream(
        topic="t.e.v1", source=shelf, pace=Pace(size, 0.0), limit=limit, patience=patience
    )
    shelf.emptied = await stream.run(bulk, stop or asyncio.Event(), progress)
    return progress


@pytest.mark.parametrize(
    ("limit", "calls"),
    [
        pytest.param(None, [["0", "1"], ["2", "3"], ["4"]], id="until the source is empty"),
        pytest.param(3, [["0", "1"], ["2"]], id="until the limit"),
        pytest.param(9, [["0", "1"], ["2", "3"], ["4"]], id="a limit beyond the end"),
    ],
)
async def test_batches_in_order(limit: int | None, calls: list[list[str]]) -> None:
    shelf, bulk = Shelf(5), Moody()
    progress = await empty(shelf, bulk, limit=limit)
    assert bulk.calls == calls
    assert shelf.settled == progress.published == progress.acknowledged == min(5, limit or 5)
    assert shelf.emptied == (limit != 3)


async def test_a_bus_that_is_away_gets_the_same_events_again() -> None:
    shelf, bulk = Shelf(2), Moody([BusUnavailable("no broker answers")])
    progress = await empty(shelf, bulk)
    assert bulk.calls == [["0", "1"], ["0", "1"]]
    assert (progress.published, progress.acknowledged, shelf.settled) == (2, 2, 2)


@pytest.mark.parametrize(
    ("error", "patience"),
    [
        pytest.param(BusUnavailable("no broker answers"), 0.0, id="patience has ended"),
        pytest.param(InvalidEvent("is no number"), 60.0, id="trying again would not help"),
    ],
)
async def test_what_was_not_acknowledged_stays_in_the_source(
    error: BusError, patience: float
) -> None:
    shelf, bulk = Shelf(4), Moody([error])
    with pytest.raises(type(error)):
        await empty(shelf, bulk, patience=patience)
    assert (len(bulk.calls), shelf.settled) == (1, 0)


async def test_what_is_under_way_is_settled_before_it_stops() -> None:
    stop = asyncio.Event()
    shelf, bulk = Shelf(9), Moody(stop=stop)
    progress = await empty(shelf, bulk, stop=stop)
    assert (bulk.calls, shelf.settled, progress.acknowledged) == ([["0", "1"]], 2, 2)
    assert shelf.emptied is False


async def test_asked_to_stop_it_does_not_wait_for_a_bus_that_is_away() -> None:
    stop = asyncio.Event()
    with pytest.raises(BusUnavailable):
        await empty(Shelf(9), Moody([BusUnavailable("away")], stop=stop), stop=stop)
