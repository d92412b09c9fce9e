"""The address register's publisher as a city runs it: a process of its own, a real bus."""

from collections import Counter
from pathlib import Path

import pytest

from producers.address_register.__main__ import app
from tests.running import Bus, ended, events, program, run

pytestmark = pytest.mark.slow

MODULE = "producers.address_register"
TOPIC = "address.building-changed.v1"
HEADER = "hnr,hnr_zusatz,str_name,plz,ort_name,PLR_NAME,PLR_ID\n"


def snapshot(folder: Path, day: str, *addresses: str) -> Path:
    """Write a snapshot; an address is ``Street number``."""
    path = folder / f"register-{day}.csv"
    lines = (
        f"{number},,{street},10115,Mitte,P,1\n" for street, number in map(str.split, addresses)
    )
    path.write_text(HEADER + "".join(lines), encoding="utf-8")
    return path


FIRST = ("Acker 1", "Acker 2", "Berg 1", "Berg 2", "Berg 3", "Tal 1", "Tal 2", "Tal 4", "Tal 5")
SECOND = ("Acker 1", "Acker 3", "Gipfel 1", "Gipfel 2", "Gipfel 3", "Tal 1", "Tal 2", "Tal 4")


async def test_three_snapshots(bus: Bus, tmp_path: Path) -> None:
    first = await run(MODULE, [snapshot(tmp_path, "2026-01-31", *FIRST)], bus.environment, tmp_path)
    assert first.reports[0] == {"event": "ready"}
    assert first.reports[-1] == {"event": "done", "published": 9, "acknowledged": 9}
    registered = await events(bus, TOPIC)
    assert {data["change"] for _, data in registered} == {"REGISTERED"}
    assert sorted(first.ids("acknowledged")) == sorted(id_ for id_, _ in registered)

    edited = snapshot(tmp_path, "2026-02-28", *SECOND)
    second = await run(MODULE, [edited], bus.environment, tmp_path)
    changed = [data for id_, data in await events(bus, TOPIC) if id_ in second.ids("acknowledged")]
    assert Counter(data["change"] for data in changed) == {
        "RENAMED": 3, "RENUMBERED": 1, "WITHDRAWN": 1,
    }  # fmt: skip
    known = {data["address_id"] for _, data in registered}
    assert {data["address_id"] for data in changed} <= known, "an address keeps its id"

    third = await run(MODULE, [edited], bus.environment, tmp_path)
    assert third.reports == [
        {"event": "ready"}, {"event": "done", "published": 0, "acknowledged": 0}
    ]  # fmt: skip
    assert third.process.returncode == 0


@pytest.mark.slow
async def test_what_is_shipped_is_published_without_any_option(bus: Bus, tmp_path: Path) -> None:
    ran = await run(MODULE, ["--limit", 700], bus.environment, tmp_path)
    assert len(set(ran.ids("acknowledged"))) == 700
    assert len(await events(bus, TOPIC)) == 700
    again = await run(MODULE, ["--limit", 1], bus.environment, tmp_path)
    assert set(again.ids("acknowledged")).isdisjoint(ran.ids("acknowledged")), "it goes on"


@pytest.mark.slow
async def test_killed_in_the_middle_it_publishes_the_rest_under_the_same_ids(
    bus: Bus, tmp_path: Path
) -> None:
    arguments = ["--limit", 400, "--rate"]
    async with program(MODULE, [*arguments, 1000], bus.environment, tmp_path) as killed:
        await killed.until(lambda reports: len(reports) > 2)
        await killed.kill()
    file = [snapshot(tmp_path, "2023-06-30", *FIRST), "--allow-shrink"]
    await run(MODULE, file, bus.environment, tmp_path)
    seen = await events(bus, TOPIC)
    by_id = dict(seen)
    assert len(by_id) == 6652 + 6652 + len(FIRST), "registered, withdrawn, and the others"
    assert len(seen) - len(by_id) <= 100, "no more is sent again than was under way"
    registrations = Counter(
        data["address_id"] for data in by_id.values() if data["change"] == "REGISTERED"
    )
    assert set(registrations.values()) == {1}


async def test_sigterm_ends_it_in_order(bus: Bus, tmp_path: Path) -> None:
    async with program(MODULE, ["--rate", 30], bus.environment, tmp_path) as running:
        await running.until(lambda reports: len(reports) > 3)
        assert await running.stop() == 0
        acknowledged = running.ids("acknowledged")
        assert running.reports[-1] == {
            "event": "done", "published": len(acknowledged), "acknowledged": len(acknowledged)
        }  # fmt: skip
    assert sorted(acknowledged) == sorted(id_ for id_, _ in await events(bus, TOPIC))


@pytest.mark.slow
async def test_a_bus_that_goes_away_for_a_while_loses_nothing(bus: Bus, tmp_path: Path) -> None:
    async with program(MODULE, ["--rate", 500, "--limit", 1000], bus.environment, tmp_path) as city:
        await city.until(lambda reports: len(reports) > 4)
        await bus.stop()
        await bus.start()
        assert await city.ended() == 0
    seen = Counter(id_ for id_, _ in await events(bus, TOPIC))
    assert set(city.ids("acknowledged")) == set(seen)
    assert len(seen) == 1000


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param([], 4, "127.0.0.1:1", id="a bus that is not there: its address"),
        pytest.param(["no-2026-01-31.csv"], 2, "no-2026-01-31.csv", id="a file that is not there"),
        pytest.param(["register.csv"], 2, "--date", id="no day anywhere"),
        pytest.param(["register.csv", "--date", "2026-01-31"], 2, "register.csv:3",
                     id="a bad line: its number"),
        pytest.param(["--system", "berlin"], 2, "berlin", id="a system that is no name of one"),
        pytest.param(["--state", "."], 2, "cannot be used", id="a state that is a folder"),
        pytest.param(["--rat", "3"], 2, "--rate", id="an unknown option: the nearest"),
        pytest.param(["--kafka", "nowhere"], 2, "nowhere", id="an address that is none"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_sentence(
    nowhere: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    bad = HEADER + "1,,Allee,10115,Mitte,P,1\nx,,Allee,10115,Mitte,P,1\n"
    (nowhere / "register.csv").write_text(bad, encoding="utf-8")
    assert ended(app, arguments) == code
    assert said in capsys.readouterr().err
