"""The residents' publisher as a town runs it: a process of its own, a real bus, a key in a file."""

from collections import Counter
from pathlib import Path

import pytest

from bus.schemas import SchemaClient
from bus.trust import keys
from bus.trust.checking import projection, verified
from producers.residents.__main__ import app
from tests.city import records
from tests.running import Bus, ended, events, program, run

pytestmark = pytest.mark.slow

MODULE = "producers.residents"
TOPIC = "resident.address-changed.v1"


async def test_every_event_is_signed_by_the_town(bus: Bus, tmp_path: Path) -> None:
    made = keys.make(tmp_path / "town.key")
    asked = ["--signing-key", "town.key", "--rate", 1000, "--limit", 120]
    ran = await run(MODULE, asked, bus.environment, tmp_path)
    assert ran.process.returncode == 0
    assert ran.reports[-1] == {"event": "done", "published": 120, "acknowledged": 120}
    found = await records(bus.settings.kafka, TOPIC)
    assert len(found) == 120
    schema = await signed_under(bus)
    for record in found:
        assert not verified(record, schema, {made.key_id: made.public}).withheld


async def signed_under(bus: Bus) -> str:
    async with SchemaClient.of(bus.settings) as schemas:
        return projection(str((await schemas.version(f"{TOPIC}-value"))["schema"])).text


async def test_a_life_goes_on_where_it_was_stopped(bus: Bus, tmp_path: Path) -> None:
    keys.make(tmp_path / "town.key")
    asked = ["--signing-key", "town.key", "--rate", 200]
    async with program(MODULE, asked, bus.environment, tmp_path) as killed:
        await killed.until(lambda _: len(killed.ids("acknowledged")) > 60)
        await killed.kill()
    last = await run(MODULE, [*asked, "--limit", 100], bus.environment, tmp_path)
    seen = Counter(id_ for id_, _ in await events(bus, TOPIC))
    assert {*killed.ids("acknowledged"), *last.ids("acknowledged")} <= set(seen)
    assert seen.total() - len(seen) <= 20, "no more than one batch is repeated"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(["--municipality", "1"], 2, "Ilzer Land", id="a place far away"),
        pytest.param(["--signing-key", "none.key"], 2, "none.key", id="a key that is not there"),
        pytest.param([], 4, "127.0.0.1:1", id="a bus that is not there: its address"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    nowhere: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    assert ended(app, arguments) == code
    assert said in capsys.readouterr().err


async def test_without_a_key_nothing_is_published(bus: Bus, tmp_path: Path) -> None:
    ran = await run(MODULE, ["--limit", 5], bus.environment, tmp_path)
    assert ran.process.returncode == 2
    assert "publisher.signing_key" in ran.talk
    assert await records(bus.settings.kafka, TOPIC) == []
