"""What became of a round's jobs is told in order, and not all in one turn of the event loop."""

import asyncio
from collections.abc import Callable

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import settling
from bus.broker.batch import HEADER, Header
from bus.broker.settling import Settling
from bus.broker.stage import Append, Outcome
from bus.broker.writer import Change, Round, StorageFailed

STORED = Outcome(ErrorCode.none)
NO_BATCH = Header._make(HEADER.unpack(bytes(HEADER.size)))


def appended(done: Callable[[Outcome], None]) -> Append:
    return Append(1, b"", NO_BATCH, False, done)


def finished(*jobs: Append | Change[str], failure: StorageFailed | None = None) -> Round:
    return Round(jobs, [STORED] * len(jobs), failure=failure)


async def test_jobs_are_told_in_the_order_of_the_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "SLICE", 0.0)  # others have their turn after each
    told: list[int] = []
    ended = asyncio.Event()

    def tell(number: int) -> Callable[[Outcome], None]:
        def done(_: Outcome) -> None:
            told.append(number)
            if number == 5:
                ended.set()

        return done

    waiting = Settling()
    waiting.add(finished(*(appended(tell(number)) for number in range(3))))
    assert told == [0]
    waiting.add(finished(*(appended(tell(number)) for number in range(3, 6))))
    await ended.wait()
    assert told == [0, 1, 2, 3, 4, 5]


async def test_all_are_told_at_once_where_the_broker_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "SLICE", 0.0)
    told: list[Outcome] = []
    waiting = Settling()
    waiting.add(finished(*(appended(told.append) for _ in range(4))))
    waiting.all()
    assert told == [STORED] * 4
    await asyncio.sleep(0)
    assert told == [STORED] * 4


async def test_a_change_is_published_before_who_asked_goes_on() -> None:
    seen: list[tuple[str, bool]] = []
    settled: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def publish(result: str) -> None:
        seen.append((result, settled.done()))

    change = Change(lambda store, stage: "made", settled, publish, result="made")
    Settling().add(finished(change))
    assert await settled == "made"
    assert seen == [("made", False)]


async def test_a_change_that_is_not_stored_is_not_published() -> None:
    seen: list[str] = []
    settled: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    change = Change(lambda store, stage: "made", settled, seen.append, result="made")
    Settling().add(finished(change, failure=StorageFailed("no space", full=True)))
    with pytest.raises(StorageFailed, match="no space"):
        await settled
    assert seen == []
