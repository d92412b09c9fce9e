"""The traffic publisher as a city runs it: a process of its own, a real bus."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from producers.traffic.__main__ import app
from tests.running import Bus, ended, events, program, run

pytestmark = pytest.mark.slow

MODULE = "producers.traffic"
TOPIC = "mobility.traffic-load.v1"
AT_ONCE = ["--speed", "1e9"]


async def test_a_night_as_it_was_recorded(bus: Bus, tmp_path: Path) -> None:
    asked = [*AT_ONCE, "--limit", 108 * 12]
    ran = await run(MODULE, asked, bus.environment, tmp_path)
    assert ran.process.returncode == 0
    assert ran.reports[-1] == {"event": "done", "published": 1296, "acknowledged": 1296}
    found = [data for _, data in await events(bus, TOPIC)]
    assert Counter(data["load_code"] for data in found).keys() <= {0, 1, 2, 16}
    assert {data["municipality"] for data in found} == {"053150000000"}
    times = [data["observed_at"] for data in found if data["segment"] == "ST022"]
    assert times == sorted(times), "a segment's observations are in order"
    assert len(times) == 12


async def test_killed_and_stopped_it_goes_on_without_loss(bus: Bus, tmp_path: Path) -> None:
    day = ["--speed", 3000, "--limit", 4000]  # a tenth of a second for five minutes
    async with program(MODULE, day, bus.environment, tmp_path) as killed:
        await killed.until(lambda _: len(killed.ids("acknowledged")) > 300)
        await killed.kill()
    async with program(MODULE, day, bus.environment, tmp_path) as stopped:
        await stopped.until(lambda _: len(stopped.ids("acknowledged")) > 300)
        assert await stopped.stop() == 0
    last = await run(MODULE, [*AT_ONCE, "--limit", 500], bus.environment, tmp_path)
    seen = Counter(id_ for id_, _ in await events(bus, TOPIC))
    for run_ in (killed, stopped, last):
        assert set(run_.ids("acknowledged")) <= set(seen)
    assert seen.total() - len(seen) <= 110, "no more than one batch is repeated"
    times = sorted({data["observed_at"] for _, data in await events(bus, TOPIC)})
    gaps = {round((b - a).total_seconds()) for a, b in pairwise(times)}
    assert max(gaps) <= 303, "no five minutes of the file are missing"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param([], 4, "127.0.0.1:1", id="a bus that is not there: its address"),
        pytest.param(["none.csv"], 2, "none.csv", id="a file that is not there"),
        pytest.param(["other.csv"], 2, "other.csv:1", id="a file of other columns"),
        pytest.param(["--speed", "0"], 2, "--speed", id="no speed at all"),
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
    (nowhere / "other.csv").write_text("hnr,str_name\n1,Allee\n", encoding="utf-8")
    assert ended(app, arguments) == code
    assert said in capsys.readouterr().err
