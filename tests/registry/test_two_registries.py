"""Two registries on one bus: both write, one is killed in the middle, and they agree."""

import asyncio
import json
import random
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from bus.journal import TOPIC
from bus.journal.chain import Chain
from bus.kafka import LogReader
from bus.registry import Registry
from bus.registry.state import State
from bus.settings import KafkaSettings

pytestmark = pytest.mark.slow

Start = Callable[[], Awaitable[Registry]]

OTHER_NODE = """
import asyncio, sys
from bus.registry import Registry
from bus.settings import load
from bus.telemetry import Telemetry

async def main() -> None:
    settings = load({"kafka.bootstrap": sys.argv[1], "registry.listen": "127.0.0.1:0"}, environ={})
    async with Registry(settings, Telemetry()) as registry:
        print(registry.address, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def schema(number: int) -> str:
    """One of many schemas that differ."""
    return json.dumps({"type": "record", "name": f"R{number}", "fields": []})


def client(address: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://{address}", timeout=30, trust_env=False)


async def register(http: httpx.AsyncClient, number: int) -> int:
    """Register a schema under a subject of its own, and return its id."""
    path, body = f"/subjects/s{number}/versions", {"schema": schema(number)}
    while True:
        answer = await http.post(path, json=body)
        if answer.status_code == 200:
            return int(answer.json()["id"])
        assert answer.status_code == 503, answer.text


async def replayed(kafka: KafkaSettings) -> State:
    """What somebody who comes now makes of the topic."""
    state, chain = State(), Chain()
    async with LogReader(kafka) as reader:
        first, end = (await reader.bounds(TOPIC))[0]
        while first < end:
            for record in await reader.read(TOPIC, 0, first):
                first = record.offset + 1
                if entry := chain.follow(record.value):
                    state.apply(entry)
    return state


async def agree(kafka: KafkaSettings, *registries: Registry) -> State:
    for registry in registries:
        async with client(registry.address) as http:
            await http.get("/subjects")
    state = await replayed(kafka)
    assert {registry.state.digest() for registry in registries} == {state.digest()}
    return state


async def test_two_that_write_at_once_agree(start: Start, bare: KafkaSettings) -> None:
    one, two = await asyncio.gather(start(), start())
    async with client(one.address) as first, client(two.address) as second:
        ids = await asyncio.gather(
            *(register(random.choice((first, second)), number) for number in range(40)),
            *(register(http, number) for number in range(40, 60) for http in (first, second)),
        )
    given = Counter(ids[:40] + ids[40::2])
    assert max(given.values()) == 1
    assert ids[40::2] == ids[41::2]
    state = await agree(bare, one, two)
    assert state.last_id == max(given)


async def test_what_one_has_written_the_other_answers(start: Start) -> None:
    one, two = await start(), await start()
    async with client(one.address) as first, client(two.address) as second:
        schema_id = await register(first, 7)
        assert (await second.get(f"/schemas/ids/{schema_id}")).json() == (
            await first.get(f"/schemas/ids/{schema_id}")
        ).json()
        assert await register(first, 8) == schema_id + 1
        assert (await second.get("/subjects/s8/versions/1")).json()["id"] == schema_id + 1
        await register(first, 9)
        assert "s9" in (await second.get("/subjects")).json()
        await first.put("/config/s9", json={"compatibility": "NONE"})
        assert (await second.get("/config/s9")).json() == {"compatibilityLevel": "NONE"}


async def test_both_hold_to_the_level_that_one_has_set(start: Start) -> None:
    """Of two that clash, the one that comes second in the journal is refused, wherever."""
    one, two = await start(), await start()
    async with client(one.address) as first, client(two.address) as second:
        bodies = [{"schema": '"int"'}, {"schema": '"string"'}]
        answers = await asyncio.gather(
            first.post("/subjects/clash/versions", json=bodies[0]),
            second.post("/subjects/clash/versions", json=bodies[1]),
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        for http in (first, second):
            assert (await http.get("/subjects/clash/versions")).json() == [1]


async def test_one_is_killed_in_the_middle(
    start: Start, bare: KafkaSettings, tmp_path: Path
) -> None:
    """What it had acknowledged is there, nothing is there in part, and the other goes on."""
    survivor = await start()
    program = tmp_path / "other.py"
    program.write_text(OTHER_NODE)
    victim = await asyncio.create_subprocess_exec(
        sys.executable, program, bare.bootstrap, stdout=asyncio.subprocess.PIPE
    )
    assert victim.stdout is not None
    address = (await victim.stdout.readline()).decode().strip()
    acknowledged: dict[int, int] = {}

    async def write(http: httpx.AsyncClient, numbers: range) -> None:
        for number in numbers:
            acknowledged[number] = await register(http, number)
            if number == 1010:
                victim.send_signal(signal.SIGKILL)

    async with client(address) as doomed, client(survivor.address) as healthy:
        outcomes = await asyncio.gather(
            *(write(doomed, range(start, start + 50)) for start in (1000, 1100, 1200)),
            write(healthy, range(2000, 2040)),
            return_exceptions=True,
        )
        assert await victim.wait() == -signal.SIGKILL
        assert all(isinstance(outcome, httpx.TransportError) for outcome in outcomes[:3])
        assert outcomes[3] is None
        assert {number for number in acknowledged if number >= 2000} == set(range(2000, 2040))
        await register(healthy, 3000)
    state = await agree(bare, survivor)
    assert len(set(acknowledged.values())) == len(acknowledged)
    for number, schema_id in acknowledged.items():
        assert [version.id for version in state.versions(f"s{number}")] == [schema_id]
    newcomer = await start()
    await agree(bare, survivor, newcomer)
