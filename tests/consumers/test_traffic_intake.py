"""Every event once and in order, whatever hands records over, and in what state the engine is."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bus.avro.codec import Codec
from bus.contracts import Contract, load_all
from bus.errors import BusUnavailable, NotFound, PositionLost
from bus.event import Event, changing, frame, new_id, partition_of, unchanging, write_time
from bus.kafka import Fetched
from bus.subscriber.decoding import Decoder
from consumers.progress import Progress
from consumers.traffic_view.intake import Intake
from consumers.traffic_view.rules import QUARTER, Mark

TOPIC = "mobility.traffic-load.v1"
ARS = "053150000000"
NOON = datetime(2014, 1, 15, 12, tzinfo=UTC)
KEY = f"{ARS}:ST022"
PLACE = partition_of(KEY, 3)


def shipped() -> Contract:
    (found,) = (contract for contract in load_all() if contract.topic == TOPIC)
    return found


CONTRACT = shipped()
CODEC = Codec(CONTRACT.versions[-1])


def record(offset: int, minutes: float = 0, partition: int = PLACE, **changes: Any) -> Fetched:
    """Return the record of an observation so many minutes after noon."""
    at = NOON + timedelta(minutes=minutes)
    data = {"municipality": ARS, "segment": "ST022", "observed_at": at, "load_code": offset}
    data |= {"valid": True} | changes
    headers = unchanging("urn:stadtbus:de.mun.053150000000.x", TOPIC)
    headers += changing(new_id(), write_time(at), "a/1", None, None)
    body = frame(1, CODEC.encode(data))
    return Fetched(TOPIC, partition, offset, 0, KEY.encode(), body, headers)


class Log:
    """A log of one partition: what `LogReader` reads of it, and how it fails."""

    def __init__(self) -> None:
        self.records: list[Fetched] = []
        self.first, self.end = 0, 0
        self.away = False
        self.reads = 0

    def hold(self, *records: Fetched) -> None:
        self.records = sorted({one.offset: one for one in [*self.records, *records]}.values())
        self.end = max(self.end, max(one.offset for one in records) + 1)

    async def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        if self.away:
            raise BusUnavailable("away")
        return dict.fromkeys(range(3), (0, 0)) | {PLACE: (self.first, self.end)}

    async def read(self, topic: str, partition: int, offset: int) -> list[Fetched]:
        self.reads += 1
        if self.away:
            raise BusUnavailable("away")
        if offset < self.first:
            raise PositionLost("deleted")
        return [one for one in self.records if one.offset >= offset][:2]


class Table:
    """Keeps what it is given, or fails as arranged."""

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.failures = 0

    def end_of(self, event: Event) -> float:
        at: datetime = (event.data or {})["observed_at"]
        return at.timestamp() // QUARTER * QUARTER + QUARTER

    async def put(self, event: Event, place: tuple[int, int]) -> None:
        if self.failures:
            self.failures -= 1
            raise BusUnavailable("not written")
        self.offsets.append(place[1])


class Letters:
    """Keeps the offsets and reasons of dead letters."""

    def __init__(self) -> None:
        self.put_: list[tuple[int, str]] = []

    async def put(self, record: Fetched, reason: str, detail: str) -> None:
        self.put_.append((record.offset, reason))


class Told(Progress):
    """Keeps what came too late."""

    def __init__(self) -> None:
        super().__init__("group", json=False)
        self.late: list[str] = []

    def left_out(self, ids: Sequence[str]) -> None:
        self.late.extend(ids)


class Schemas:
    """A registry that knows schema 1, once it is there."""

    def __init__(self) -> None:
        self.failures = 0

    async def schema_on(self, topic: str, schema_id: int) -> Any:
        if self.failures:
            self.failures -= 1
            raise BusUnavailable("away")
        if schema_id != 1:
            raise NotFound("no such schema")
        return CONTRACT.versions[-1]


class Scene:
    """An intake among stand-ins."""

    def __init__(self) -> None:
        self.log, self.table, self.letters = Log(), Table(), Letters()
        self.progress, self.schemas = Told(), Schemas()
        self.intake = Intake(
            TOPIC,
            CONTRACT,
            decoder=Decoder(CONTRACT, self.schemas),
            reader=self.log,  # type: ignore[arg-type]
            dead=self.letters,  # type: ignore[arg-type]
            windows=self.table,
            progress=self.progress,
            clock=lambda: NOON + timedelta(days=1),
        )

    async def begin(self, mark: Mark | None = None) -> None:
        await self.intake.begin([PLACE], {PLACE: mark} if mark else {})


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize(
    ("held", "delivered", "taken"),
    [
        pytest.param(5, [0, 1, 2, 3, 4], [0, 1, 2, 3, 4], id="all of them, in order"),
        pytest.param(5, [4], [0, 1, 2, 3, 4], id="only the last: the rest is read"),
        pytest.param(5, [2, 0, 1, 2, 4], [0, 1, 2, 3, 4], id="out of order, and twice"),
        pytest.param(5, [3, 2, 1, 0], [0, 1, 2, 3], id="backwards"),
        pytest.param(5, [], [], id="nothing yet"),
    ],
)
async def test_each_is_taken_in_once_and_in_order(
    scene: Scene, held: int, delivered: list[int], taken: list[int]
) -> None:
    records = [record(offset) for offset in range(held)]
    scene.log.hold(*records)
    await scene.begin()
    for offset in delivered:
        await scene.intake.deliver(records[offset])
    assert scene.table.offsets == taken


async def test_nothing_is_taken_in_before_the_state_is_there_or_after_it_is_given_away(
    scene: Scene,
) -> None:
    scene.log.hold(*(record(offset) for offset in range(3)))
    await scene.intake.deliver(record(0))
    assert scene.table.offsets == []
    await scene.begin(Mark(1, 0.0))
    await scene.intake.deliver(record(2))
    assert scene.table.offsets == [1, 2], "it begins where the state ends"
    scene.intake.end()
    await scene.intake.deliver(record(3))
    assert scene.table.offsets == [1, 2]


async def test_what_nobody_hands_over_is_read_once_nothing_moves_any_more(scene: Scene) -> None:
    scene.log.hold(*(record(offset) for offset in range(5)))
    await scene.begin()
    await scene.intake.catch_up()
    assert scene.table.offsets == [], "it may still be on its way"
    await scene.intake.catch_up()
    assert scene.table.offsets == [0, 1, 2, 3, 4]
    reads = scene.log.reads
    await scene.intake.catch_up()
    assert scene.log.reads == reads, "there is nothing to read"


async def test_gaps_that_hold_nothing_are_passed(scene: Scene) -> None:
    scene.log.hold(record(0), record(7))  # marks of transactions lie between
    scene.log.end = 10
    await scene.begin()
    await scene.intake.deliver(record(7))
    assert scene.table.offsets == [0, 7]
    for _ in range(2):
        await scene.intake.catch_up()
    await scene.intake.deliver(record(10))
    assert scene.table.offsets == [0, 7, 10]


async def test_what_was_deleted_is_passed_and_told(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.log.hold(record(5), record(6))
    scene.log.first = 5
    await scene.begin(Mark(2, 0.0))
    await scene.intake.deliver(record(6))
    assert scene.table.offsets == [5, 6]
    assert f"{TOPIC}-{PLACE}: events from 2 on were deleted" in caplog.text


async def test_an_engine_that_is_away_costs_nothing(scene: Scene) -> None:
    scene.log.hold(*(record(offset) for offset in range(3)))
    await scene.begin()
    scene.log.away = True
    await scene.intake.deliver(record(1))
    await scene.intake.catch_up()
    assert scene.table.offsets == []
    scene.log.away = False
    await scene.intake.deliver(record(2))
    assert scene.table.offsets == [0, 1, 2]


async def test_what_could_not_be_written_is_written_before_what_follows(scene: Scene) -> None:
    scene.log.hold(*(record(offset) for offset in range(3)))
    await scene.begin()
    scene.table.failures = 1
    await scene.intake.deliver(record(0))
    await scene.intake.deliver(record(1))
    assert scene.table.offsets == [0, 1]


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        pytest.param(record(1)._replace(value=b"\x00bad"), "bad-frame", id="no frame"),
        pytest.param(record(1)._replace(key=None), "bad-key", id="no key"),
        pytest.param(record(1)._replace(headers=()), "bad-envelope", id="no envelope"),
        pytest.param(record(1)._replace(fault="torn"), "bad-envelope", id="a record that is torn"),
        pytest.param(record(1, 99_999), "bad-event", id="from the future"),
        pytest.param(record(1, segment="B"), "bad-event", id="a key that is not its data's"),
        pytest.param(record(1, segment=""), "bad-event", id="a segment without a name"),
    ],
)
async def test_a_bad_event_is_set_aside_and_the_next_one_is_taken_in(
    scene: Scene, spoilt: Fetched, reason: str
) -> None:
    scene.log.hold(record(0), spoilt, record(2))
    await scene.begin()
    for one in (record(0), spoilt, record(2)):
        await scene.intake.deliver(one)
    assert scene.letters.put_ == [(1, reason)]
    assert scene.table.offsets == [0, 2]


async def test_an_event_outside_its_keys_partition_is_set_aside(scene: Scene) -> None:
    other = (PLACE + 1) % 3
    await scene.intake.begin([other], {})
    await scene.intake.deliver(record(0, partition=other))
    assert scene.letters.put_ == [(0, "bad-event")]
    assert scene.table.offsets == []


async def test_a_tombstone_says_nothing(scene: Scene) -> None:
    scene.log.hold(record(0)._replace(value=None), record(1))
    await scene.begin()
    await scene.intake.deliver(record(1))
    assert (scene.table.offsets, scene.letters.put_) == ([1], [])


async def test_an_hour_after_its_window_an_observation_is_left_out(scene: Scene) -> None:
    minutes = [0, 75, 14, 15, 0, 76]  # from 75 on, the first quarter of an hour takes nothing more
    records = [record(offset, minute) for offset, minute in enumerate(minutes)]
    scene.log.hold(*records)
    await scene.begin()
    for one in records:
        await scene.intake.deliver(one)
    assert scene.table.offsets == [0, 1, 3, 5]
    assert len(scene.progress.late) == 2


async def test_the_clock_of_events_is_the_states_after_a_restart(scene: Scene) -> None:
    scene.log.hold(record(0))
    await scene.begin(Mark(0, (NOON + timedelta(hours=2)).timestamp()))
    await scene.intake.deliver(record(0))
    assert (scene.table.offsets, len(scene.progress.late)) == ([], 1)


async def test_a_registry_that_is_away_is_waited_for(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.traffic_view.intake.LEARNING", 0.0)
    scene.schemas.failures = 3
    scene.log.hold(record(0))
    await scene.begin()
    await scene.intake.deliver(record(0))
    assert (scene.table.offsets, scene.letters.put_) == ([0], [])


async def test_a_schema_that_nobody_knows_is_a_bad_event(scene: Scene) -> None:
    unknown = record(0)._replace(value=frame(99, b"\x00"))
    scene.log.hold(unknown, record(1))
    await scene.begin()
    await scene.intake.deliver(record(1))
    assert scene.letters.put_ == [(0, "unknown-schema")]
    assert scene.table.offsets == [1]
