"""The router on a bus: what reaches the feeds, whatever happens to routers and engine."""

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from bus.admin import Admin
from bus.contracts import Contract
from bus.kafka import Fetched, LogReader, Producer, Record
from bus.publisher import Publisher
from bus.router import Router
from bus.router.lane import GROUP
from bus.schemas import SchemaClient
from bus.settings import Settings
from bus.telemetry import Telemetry
from tests.city import READINGS, SYSTEM, City, reading, records
from tests.engine import Switch
from tests.waiting import until

pytestmark = pytest.mark.slow

FEED, REFUSED = f"feed.open.{READINGS}", f"dead.{READINGS}"


@asynccontextmanager
async def routing(settings: Settings) -> AsyncIterator[Telemetry]:
    telemetry = Telemetry()
    async with Router(settings, telemetry):
        yield telemetry


async def publish(city: City, count: int, start: int = 0) -> list[str]:
    """Publish readings of many series, so that they lie in all partitions."""
    async with Publisher(SYSTEM, city.settings) as publisher:
        many = [reading(n, f"series-{n % 20}") for n in range(start, start + count)]
        return [receipt.id for receipt in await publisher.publish_many(READINGS, many)]


async def fed(city: City) -> list[Fetched]:
    return await committed(city, FEED)


async def committed(city: City, topic: str) -> list[Fetched]:
    """Return what a reader of committed records sees of a topic; nothing if it is not there yet."""
    found: list[Fetched] = []
    async with LogReader(city.settings.kafka) as reader:
        if not await reader.exists(topic):
            return found
        for partition, (first, end) in (await reader.bounds(topic)).items():
            at = first
            while at < end:
                read = await reader.read(topic, partition, at, max_wait=0)
                if not read:  # only marks of transactions are left
                    break
                found += read
                at = read[-1].offset + 1
    return found


def ids(found: list[Fetched]) -> Counter[str]:
    return Counter(dict(record.headers)["ce_id"].decode() for record in found)


async def arrived(city: City, count: int) -> bool:
    return len(await fed(city)) >= count


async def same_as_shared(city: City) -> None:
    """Assert that the feed has the shared topic's records: byte for byte, in order, once."""
    shared = await records(city.settings.kafka, READINGS)
    feed = await fed(city)
    for partition in {record.partition for record in shared}:
        there = [r for r in shared if r.partition == partition]
        here = [r for r in feed if r.partition == partition]
        assert [(r.key, r.value) for r in here] == [(r.key, r.value) for r in there]
        for one, other in zip(here, there, strict=True):
            headers = list(one.headers)
            name, origin = headers.pop()
            assert headers == list(other.headers)
            assert name == "stadtbus-origin"
            assert origin.startswith(f"{READINGS}/".encode())
            assert origin.endswith(f"/{other.partition}/{other.offset}".encode())


async def test_events_reach_the_feed_as_they_were(city: City) -> None:
    before = await publish(city, 100)
    async with routing(city.settings):
        after = await publish(city, 100, 100)
        await until(lambda: arrived(city, 200))
        await same_as_shared(city)
    assert set(ids(await fed(city))) == {*before, *after}
    async with Admin(city.settings.kafka) as admin:
        stored = await admin.group_offsets(GROUP)
        assert sum(n for (topic, _), n in stored.items() if topic == READINGS) == 200
        assert (await admin.topics())[FEED] == (await admin.topics())[READINGS]


async def test_what_is_refused_holds_up_nothing(city: City) -> None:
    await publish(city, 20)
    good = (await records(city.settings.kafka, READINGS))[0]
    other = (good.partition + 1) % 3
    bad = [
        Record(good.key, good.value, [*good.headers, ("ce_id", b"twice")]),
        Record(good.key, b"\x00\x00\x00\x27\x0f1234", good.headers),  # a schema nobody knows
        Record(None, b"", []),
        Record(good.key, bytes(1_040_000), good.headers),  # schema 0; as large as may be
    ]
    async with Producer(city.settings.kafka) as producer:
        for record in bad:
            await producer.append(READINGS, good.partition, [record])
        await producer.append(READINGS, other, [Record(good.key, good.value, good.headers)])
    async with routing(city.settings) as telemetry:
        await publish(city, 20, 20)
        await until(lambda: arrived(city, 40))
        letters: list[Fetched] = []

        async def all_refused() -> bool:
            letters[:] = await committed(city, REFUSED)
            return len(letters) == 5

        await until(all_refused)
        counted = telemetry.refused.collect()
    reasons = Counter(dict(one.headers)["stadtbus-dead-reason"].decode() for one in letters)
    assert reasons == {
        "bad-envelope": 1,
        "unknown-schema": 2,
        "bad-key": 1,
        "other-partition": 1,
    }
    assert sum(s.value for m in counted for s in m.samples if s.name.endswith("_total")) == 5
    for letter in letters:
        headers = dict(letter.headers)
        assert headers["stadtbus-dead-group"] == GROUP.encode()
        assert headers["stadtbus-dead-origin"].startswith(READINGS.encode())


async def test_a_repeat_is_dropped_also_by_the_next_router(city: City) -> None:
    await publish(city, 30)
    shared = await records(city.settings.kafka, READINGS)

    async def again() -> None:
        async with Producer(city.settings.kafka) as producer:
            for one in shared:
                record = Record(one.key, one.value, one.headers)
                await producer.append(READINGS, one.partition, [record])

    async def repeats(telemetry: Telemetry) -> bool:
        return bool(telemetry.repeated.labels(READINGS)._value.get() == 30)

    await again()
    async with routing(city.settings) as telemetry:
        await until(lambda: repeats(telemetry))
    await again()
    async with routing(city.settings) as telemetry:
        await until(lambda: repeats(telemetry))
    assert ids(await fed(city)) == Counter(dict.fromkeys(ids(shared), 1))


async def test_a_contract_that_comes_into_force_is_routed(city: City) -> None:
    async with routing(city.settings):
        contract = (await _contract(city)).to_json()
        topic = "sensor.reading.v2"
        async with Publisher(SYSTEM, city.settings) as publisher:
            await _put(city, {**contract, "topic": topic})
            await publisher.publish(topic, reading(1))
        await until(lambda: _there(city, f"feed.open.{topic}", 1))


async def test_the_engine_may_go_and_come_back(city: City, switch: Switch) -> None:
    async with routing(city.settings):
        await publish(city, 50)
        await until(lambda: arrived(city, 50))
        await switch.off()
        await switch.on()
        await publish(city, 50, 50)
        await until(lambda: arrived(city, 100), deadline=60)
        await same_as_shared(city)


@contextmanager
def process(city: City, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a router as a process of its own; it is killed at the end."""
    program = Path(__file__).with_name("program.py")
    kafka, registry = city.settings.kafka.bootstrap, city.settings.registry.url
    command = [sys.executable, str(program), kafka, registry, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


async def ready(running: subprocess.Popen[str]) -> None:
    assert running.stdout is not None
    assert (await asyncio.to_thread(running.stdout.readline)).strip() == "ready"


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_router_that_dies_or_hangs_neither_loses_nor_repeats(
    city: City, tmp_path: Path, way: signal.Signals
) -> None:
    """What readers of committed records see is the shared topic, in order, each event once."""
    with process(city, tmp_path / "first") as first, process(city, tmp_path / "second") as second:
        await ready(first)
        await ready(second)
        publishing = asyncio.create_task(publish(city, 3000))
        await until(lambda: arrived(city, 200), deadline=60)
        first.send_signal(way)
        await publishing
        await until(lambda: arrived(city, 3000), deadline=90)
        if way is signal.SIGSTOP:
            first.send_signal(signal.SIGCONT)
            # It finds out that it has lost its partitions, and takes part again.
            await publish(city, 300, 3000)
            await until(lambda: arrived(city, 3300), deadline=90)
        await same_as_shared(city)


async def _contract(city: City) -> Contract:
    async with SchemaClient.of(city.settings) as registry:
        return await registry.contract(READINGS)


async def _put(city: City, contract: dict[str, object]) -> None:
    async with SchemaClient.of(city.settings) as registry:
        await registry.put_contract(Contract.from_json({**contract, "schema_ids": []}))


async def _there(city: City, topic: str, count: int) -> bool:
    return len(await committed(city, topic)) == count
