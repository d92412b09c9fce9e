"""The counts' publisher as a city runs it: a process of its own, a real bus."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from producers.counts.__main__ import app
from tests.running import Bus, ended, events, program, run

pytestmark = pytest.mark.slow

MODULE = "producers.counts"
TOPIC = "sensor.reading.v1"
BERLIN = ZoneInfo("Europe/Berlin")
HEADER = "Datetime,10 (Ring),11 (Ring Radfahrer),12 (Ring Kfz),10-status,11-status,12-status\n"


def station(folder: Path, *rows: str) -> Path:
    path = folder / "10.csv"
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def local_day(day: str) -> list[str]:
    """Return made-up rows of a whole local day, whose counts number them."""
    at = datetime.fromisoformat(day).replace(tzinfo=BERLIN).astimezone(UTC)
    rows: list[str] = []
    while (local := at.astimezone(BERLIN)).date().isoformat() == day:
        rows.append(f"{local:%Y-%m-%d %H:%M},{len(rows)},,,0,,")
        at += timedelta(minutes=15)
    return rows


async def test_it_waits_for_a_bus_that_is_not_there_yet(bus: Bus, tmp_path: Path) -> None:
    await bus.stop()
    asked = ["--wait", 30, "--limit", 3]
    async with program(MODULE, asked, bus.environment, tmp_path) as city:
        assert city.process.stderr is not None
        assert b"the bus is not there yet" in await city.process.stderr.readline()
        await bus.start()
        assert await city.ended() == 0
    assert len(city.ids("acknowledged")) == 3


async def test_a_day_of_twenty_five_hours(bus: Bus, tmp_path: Path) -> None:
    file = station(tmp_path, *local_day("2026-10-25"))
    ran = await run(MODULE, [file], bus.environment, tmp_path)
    assert ran.process.returncode == 0
    assert ran.reports[-1] == {"event": "done", "published": 300, "acknowledged": 300}
    sums = [data for _, data in await events(bus, TOPIC) if data["datastream"] == "10:10"]
    begin = datetime(2026, 10, 24, 22, tzinfo=UTC)
    assert [data["phenomenon_time"] for data in sums] == [
        begin + timedelta(minutes=15) * n for n in range(100)
    ]
    assert [data["result"] for data in sums] == list(range(100))


async def test_what_is_refused_is_named_and_the_rest_goes_on(bus: Bus, tmp_path: Path) -> None:
    file = station(
        tmp_path,
        "2026-03-29 01:45,1,2,3,0,0,0",
        "2026-03-29 02:00,9,9,9,0,0,0",
        "2026-03-29 03:00,4,,6,0,,7",
    )
    ran = await run(MODULE, [file], bus.environment, tmp_path)
    assert ran.process.returncode == 7
    assert f"{file}:3: 2026-03-29 02:00 does not exist in Europe/Berlin" in ran.talk
    found = [data for _, data in await events(bus, TOPIC)]
    assert Counter((data["result"], data["quality"], data["quality_flag"]) for data in found) == {
        (1, "VALID", "0"): 1,
        (2, "VALID", "0"): 1,
        (3, "VALID", "0"): 1,
        (4, "VALID", "0"): 1,
        (None, "MISSING", None): 1,
        (6, "UNKNOWN", "7"): 1,
    }
    assert {data["observed_property"] for data in found if data["datastream"] == "10:12"} == {
        "car-count"
    }


@pytest.mark.slow
async def test_a_run_goes_on_where_the_last_one_stopped(bus: Bus, tmp_path: Path) -> None:
    first = await run(MODULE, ["--limit", 1234], bus.environment, tmp_path)
    second = await run(MODULE, ["--limit", 1000], bus.environment, tmp_path)
    ids = first.ids("acknowledged") + second.ids("acknowledged")
    assert len(set(ids)) == 2234
    assert sorted(ids) == sorted(id_ for id_, _ in await events(bus, TOPIC))


@pytest.mark.slow
async def test_sigterm_ends_it_in_order_and_kill_repeats_no_more_than_a_batch(
    bus: Bus, tmp_path: Path
) -> None:
    async with program(MODULE, ["--rate", 1000], bus.environment, tmp_path) as killed:
        await killed.until(lambda reports: len(reports) > 3)
        await killed.kill()
    async with program(MODULE, ["--rate", 30], bus.environment, tmp_path) as running:
        await running.until(lambda reports: len(reports) > 3)
        assert await running.stop() == 0
    seen = Counter(id_ for id_, _ in await events(bus, TOPIC))
    assert set(killed.ids("acknowledged")) <= set(seen)
    assert set(running.ids("acknowledged")) <= set(seen)
    assert seen.total() - len(seen) <= 100


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param([], 4, "127.0.0.1:1", id="a bus that is not there: its address"),
        pytest.param(["none.csv"], 2, "none.csv", id="a file that is not there"),
        pytest.param(["register.csv"], 2, "register.csv:1", id="a file that is no station's"),
        pytest.param(["--rate", "0"], 2, "--rate", id="no rate at all"),
        pytest.param(["--system", "x"], 2, "member", id="a system that is no name of one"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    nowhere: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    (nowhere / "register.csv").write_text("hnr,str_name\n1,Allee\n", encoding="utf-8")
    assert ended(app, arguments) == code
    assert said in capsys.readouterr().err
