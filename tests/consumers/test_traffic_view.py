"""The traffic view as an agency runs it: a process of its own, a real bus, and things gone wrong.

What it ends with is compared with what a few lines here make of the same file.
"""

import csv
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bus.event import partition_of
from bus.kafka import Producer, Record
from bus.publisher import Publisher
from bus.settings import Settings
from bus.views.traffic import ViewReader
from consumers.traffic_view.__main__ import GROUP, app
from producers.traffic.announcement import draft
from producers.traffic.observation import COLUMNS, Observation
from tests.city import records
from tests.running import Bus, Program, ended, program
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

MODULE, CITY = "consumers.traffic_view", "producers.traffic"
TOPIC = "mobility.traffic-load.v1"
DEAD = f"dead.de.agency.verkehr.{TOPIC}"
ARS, SYSTEM = "053150000000", "de.mun.053150000000.verkehrslage"
SHIPPED = Path(__file__).parents[2] / "producers/traffic/data/load_2014-01-15_05-11.csv"
HOURS, SEGMENTS = 3, 12

Windows = dict[tuple[str, datetime], dict[datetime, int | None]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A few segments in a few hours of what is shipped."""
    path = tmp_path / "load.csv"
    with SHIPPED.open(newline="") as whole, path.open("w", newline="") as part:
        wanted = csv.writer(part)
        wanted.writerow(COLUMNS)
        for time, segment, *rest in csv.reader(whole):
            hour = time[11:13]
            if hour < f"{6 + HOURS:02}" and hour >= "06" and segment <= f"ST{SEGMENTS:03}":
                wanted.writerow([time, segment, *rest])
    return path


def observations(file: Path) -> list[Observation]:
    """Return what the file says, read without the producer's code."""
    with file.open(newline="") as rows:
        return [
            Observation(
                datetime.fromisoformat(row["datetime_utc"]).replace(tzinfo=UTC),
                row["identifier"],
                int(row["auslastung"]),
                row["valid"] == "1",
            )
            for row in csv.DictReader(rows)
        ]


def added_up(seen: list[Observation]) -> Windows:
    """Return what there is in each quarter of an hour of each segment."""
    windows: Windows = {}
    for at, segment, code, valid in seen:
        start = at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)
        windows.setdefault((segment, start), {})[at] = code if valid else None
    return windows


def by_time(codes: Mapping[int, int | None]) -> dict[datetime, int | None]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return {epoch + timedelta(microseconds=at): code for at, code in codes.items()}


async def shows(bus: Bus, wanted: Windows) -> None:
    """Return once the view's topic shows this and nothing else."""
    async with ViewReader(bus.settings.kafka) as reader:

        async def same() -> bool:
            await reader.refresh()
            found = reader.of(ARS)
            return {(one.segment, one.start): by_time(one.codes) for one in found} == wanted

        await until(same, 60.0)


async def publish(bus: Bus, *seen: Observation) -> list[str]:
    """Publish observations, and return the ids of their events."""
    async with Publisher(SYSTEM, bus.settings) as publisher:
        sent = await publisher.publish_many(TOPIC, [draft(ARS, SYSTEM, one) for one in seen])
    return [receipt.id for receipt in sent]


async def spoil(bus: Bus, segment: str) -> None:
    """Write what is no event, and an event from the future, where a segment's events are."""
    key = f"{ARS}:{segment}"
    async with Producing(bus.settings) as producer:
        bad = Record(key.encode(), b"\x00\x00\x00\x00\x01no Avro", [("ce_id", b"x")])
        await producer.append(TOPIC, partition_of(key, 3), [bad])
    await publish(bus, Observation(datetime(2999, 1, 1, tzinfo=UTC), segment, 0, True))


class Producing:
    """A producer that is started and stopped with a block."""

    def __init__(self, settings: Settings) -> None:
        self._producer = Producer(settings.kafka, client_id="spoiler")

    async def __aenter__(self) -> Producer:
        await self._producer.start()
        return self._producer

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()


def ready(view: Program) -> bool:
    return any(report["event"] == "ready" for report in view.reports)


async def test_killed_in_the_middle_it_ends_with_what_the_file_says(
    bus: Bus, file: Path, tmp_path: Path
) -> None:
    day = observations(file)
    assert len(day) > 400
    asked = [file, "--speed", HOURS * 3600 / 3]
    async with program(MODULE, [], bus.environment, tmp_path) as killed:
        await killed.until(lambda _: ready(killed))
        await spoil(bus, day[0].segment)
        async with program(CITY, asked, bus.environment, tmp_path) as city:
            await killed.until(lambda _: len(killed.ids("delivered")) > 150)
            await killed.kill()
            assert await city.ended() == 0
    assert len(killed.ids("delivered")) < len(day), "it was killed in the middle"
    async with program(MODULE, [], bus.environment, tmp_path) as view:
        await shows(bus, added_up(day))
        newest = day[-1].at
        repeat, corrected = day[-1], day[-2]._replace(code=2)
        late = day[-1]._replace(at=newest - timedelta(minutes=58, seconds=1), code=1)
        too_late = day[-1]._replace(at=newest - timedelta(minutes=90, seconds=1), code=1)
        (left_out,) = await publish(bus, too_late)
        await publish(bus, repeat, corrected, late)
        await shows(bus, added_up([*day, corrected, late]))
        await view.until(lambda _: left_out in view.ids("late"))
        assert view.ids("late") == [left_out]
        assert await view.stop() == 0
    letters = await records(bus.settings.kafka, DEAD)
    reasons = [dict(letter.headers)["stadtbus-dead-reason"] for letter in letters]
    assert reasons == [b"bad-envelope", b"bad-event"]
    groups = {dict(letter.headers)["stadtbus-dead-group"] for letter in letters}
    assert groups == {GROUP.encode()}


def test_what_is_wrong_is_said_in_a_sentence(
    nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(app, []) == 4
    assert "127.0.0.1:1" in capsys.readouterr().err
    assert ended(app, ["--group", "x"]) == 2
    assert "named after its member" in capsys.readouterr().err
