"""When nothing goes on any more, it is said what is missing, and the campaign is judged."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bus.errors import BusUnavailable
from bus.event import Event
from bus.kafka import Producer
from bus.settings import KafkaSettings
from ops.torture import stall
from ops.torture.failover import failover
from ops.torture.judgement import Promise
from ops.torture.load import TOPIC, Account, Witness
from ops.torture.stall import Stalled, together, until_there
from tests.engine import Engine

SEED = 20261121


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may stand still for longer than a moment."""
    monkeypatch.setattr(stall, "SECONDS", 0.05)


async def test_what_is_there_at_last_is_waited_for() -> None:
    looks = iter([["two"], ["one"], []])
    await until_there(lambda: next(looks), lambda: None)


async def test_what_does_not_come_is_named(impatient: None) -> None:
    with pytest.raises(Stalled, match=r"stalled for 0\.05 s: one; two"):
        await until_there(lambda: ["one", "two"], lambda: None)


async def test_nobody_waits_for_who_has_ended() -> None:
    def check() -> None:
        raise BusUnavailable("it ended", where="nowhere")

    with pytest.raises(BusUnavailable, match="it ended"):
        await until_there(lambda: ["one"], check)


async def _stalls(what: str) -> None:
    raise Stalled([what])


async def _breaks() -> None:
    raise BusUnavailable("it ended", where="nowhere")


@pytest.mark.parametrize(
    ("others", "error", "said"),
    [
        pytest.param([lambda: _stalls("b")], Stalled, "a; b", id="all that stalls is said"),
        pytest.param([_breaks], BusUnavailable, "it ended", id="who has ended goes before"),
    ],
)
async def test_things_side_by_side(
    others: Sequence[Callable[[], Awaitable[None]]], error: type[Exception], said: str
) -> None:
    done = asyncio.Event()

    async def slow() -> None:
        await asyncio.sleep(0)
        done.set()

    with pytest.raises(error, match=said):
        await together(_stalls("a"), *(other() for other in others), slow())
    assert done.is_set()


def test_which_partitions_took_nothing() -> None:
    account = Account()
    account.moments[0], account.moments[2] = [1.0, 2.0], [1.0]
    assert account.untaken({0: 2, 1: 3, 2: 2}) == [
        "partition 1 took 0 of 3 events",
        "partition 2 took 1 of 2 events",
    ]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        pytest.param("12345678", [], id="none"),
        pytest.param(
            "1345678",
            ["partition 0: 1 acknowledged events have reached no handler: a 2"],
            id="one of a key",
        ),
        pytest.param(
            "1",
            [
                f"partition {part} acknowledged events have reached no handler: {events}"
                for part, events in [("0: 5", "a 2, a 3, c 6 and 2 more"), ("1: 2", "b 4, b 5")]
            ],
            id="many, of several partitions",
        ),
    ],
)
def test_which_events_reached_no_handler(seen: str, said: list[str]) -> None:
    account = Account()
    account.acknowledged.update({"a": ["1", "2", "3"], "b": ["4", "5"], "c": ["6", "7", "8"]})
    account.partitions.update({"a": 0, "b": 1, "c": 0})
    account.seen.update(seen)
    assert account.undelivered(account.ids) == said


LOSES = 30
"""The batch of addresses, or the event, that meets with a fault."""


@pytest.fixture
def lossy(monkeypatch: pytest.MonkeyPatch) -> None:
    """One batch is acknowledged and not sent."""
    append, count = Producer.append, 0

    async def lose(self: Producer, topic: str, *rest: Any, **options: Any) -> int:
        nonlocal count
        count += topic == TOPIC
        if topic == TOPIC and count == LOSES:
            return 0
        return await append(self, topic, *rest, **options)

    monkeypatch.setattr(Producer, "append", lose)


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """One event's handler does not return, in whosever hands it is."""
    note = Witness.note
    events: list[str] = []

    async def hang(self: Witness, event: Event) -> None:
        if event.id not in events:
            events.append(event.id)
        if events.index(event.id) == LOSES:
            await asyncio.Event().wait()
        await note(self, event)

    monkeypatch.setattr(Witness, "note", hang)


@pytest.mark.parametrize(
    ("fault", "where", "promise", "other"),
    [
        pytest.param("lossy", "topic", Promise.LOST, Promise.LATE, id="not in the topic"),
        pytest.param("stuck", "handler", Promise.LATE, Promise.LOST, id="with no handler"),
    ],
)
@pytest.mark.parametrize("bare", [pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True)
@pytest.mark.slow
async def test_what_is_missing_is_judged_where_the_campaign_stalls(
    bare: KafkaSettings,
    kafka: Engine,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    where: str,
    promise: Promise,
    other: Promise,
) -> None:
    """It stalls before the first broker is struck, so one broker is enough."""
    assert kafka.cluster is not None
    request.getfixturevalue(fault)
    monkeypatch.setattr(stall, "SECONDS", 5.0)
    outcome = await failover(kafka.cluster, tmp_path, rounds=1, seed=SEED)
    assert not outcome.kept
    assert outcome.rounds == ()
    assert outcome.broken_off is not None
    breaches = outcome.findings.breaches
    assert {one.promise for one in breaches if one.place == where} == {promise}
    assert other not in {one.promise for one in breaches}
    missing = [one.what for one in breaches if one.place == where]
    assert any(what in outcome.broken_off.why for what in missing)
    assert "acknowledged events have reached no handler" in outcome.broken_off.why
    assert outcome.findings.acknowledged > LOSES
    assert outcome.without.events > 0
