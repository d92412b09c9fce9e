"""A node as a process: what it says, what it serves, what it refuses, how it ends."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bus.admin import Admin, TopicSpec
from bus.errors import StorageUnusable
from bus.kafka import LogReader, Producer, Record
from bus.node import Node, process_age
from bus.publisher import Publisher
from bus.security.making import initialise
from bus.settings import KafkaSettings, load
from ops.node import NodeProcess
from tests.city import READINGS, SYSTEM, reading
from tests.engine import emptied
from tests.waiting import until

pytestmark = pytest.mark.slow

FREE = {f"{role}.listen": "127.0.0.1:0" for role in ("broker", "registry", "portal", "ops")}


def serve(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bus.cli", "serve", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_it_says_where_everything_is_once_every_role_answers(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as node:
        ready = node.ready
        assert ready["ready"] is True
        assert 0 < ready["seconds"] < 60
        assert ready["roles"] == ["broker", "registry", "portal"]
        assert httpx.get(f"{ready['ops']}/healthz").status_code == 200
        assert httpx.get(f"{ready['ops']}/readyz").text == "ready\n"
        assert httpx.get(f"{ready['registry']}/contracts").json() == [
            "address.building-changed.v1",
            "mobility.traffic-load.v1",
            "resident.address-changed.v1",
            "sensor.reading.v1",
        ]
        assert node.stop() == 0


def test_a_second_node_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with NodeProcess(tmp_path):
        listeners = [
            f"--{role}-listen=127.0.0.1:0" for role in ("broker", "registry", "portal", "ops")
        ]
        second = serve("--data", tmp_path, *listeners)
    assert second.returncode == 2
    assert str(tmp_path) in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize("role", ["broker", "registry", "portal", "ops"])
def test_a_busy_port_is_refused_and_named(tmp_path: Path, role: str) -> None:
    with NodeProcess(tmp_path / "first") as node:
        taken = node.ready[role].removeprefix("http://")
        listeners = dict.fromkeys(("broker", "registry", "portal", "ops"), "127.0.0.1:0") | {
            role: taken
        }
        flags = [f"--{name}-listen={address}" for name, address in listeners.items()]
        second = serve("--data", tmp_path / "second", *flags)
    assert second.returncode == 2
    assert taken in second.stderr
    assert "Traceback" not in second.stderr


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an engine without any topic: another node's broker, and Apache Kafka."""
    if request.param == "embedded":
        with NodeProcess(tmp_path / "engine", "--roles", "broker") as engine:
            assert engine.ready["registry"] is None
            yield engine.ready["broker"]
        return
    settings = request.getfixturevalue("kafka").settings
    emptied(settings)  # others leave topics behind
    yield settings.bootstrap
    emptied(settings)


def test_the_registry_runs_beside_an_engine_of_its_own(elsewhere: str, tmp_path: Path) -> None:
    """`--kafka` takes an engine elsewhere, which keeps what outlives the node."""
    for _ in range(2):
        with NodeProcess(tmp_path / "node", "--kafka", elsewhere) as node:
            ready = node.ready
            assert (ready["roles"], ready["broker"]) == (["registry", "portal"], elsewhere)
            assert httpx.get(f"{ready['ops']}/healthz").status_code == 200
            assert httpx.get(f"{ready['ops']}/readyz").text == "ready\n"
            assert len(httpx.get(f"{ready['registry']}/subjects").json()) == 4
            assert len(httpx.get(f"{ready['registry']}/contracts").json()) == 4
            assert node.stop() == 0
        kept = {file.name for file in (tmp_path / "node").iterdir()}
        # What the page compares today with, and its copy of the disclosures.
        assert kept == {"portal.db", "disclosures.db"}


async def test_metrics_tell_of_events_requests_and_storage(tmp_path: Path) -> None:
    settings = load({**FREE, "data": tmp_path}, environ={}, directory=tmp_path)
    async with Node(settings, ("broker",)) as node:
        kafka = node.settings.kafka
        await _write_three(kafka)
        async with httpx.AsyncClient() as client:
            text = (await client.get(f"{node.ready.ops}/metrics")).text
    for line in (
        'stadtbus_produced_records_total{topic="metrics.test.v1"} 3.0',
        'stadtbus_requests_total{api="produce",outcome="ok"} 1.0',
    ):
        assert line.lower() in text.lower(), text
    assert "stadtbus_storage_size_bytes" in text
    assert "secret-key" not in text


@pytest.mark.parametrize("secured", [False, True])
async def test_a_node_with_the_role_routes(tmp_path: Path, secured: bool) -> None:
    """Events get to the feed, also where the router has to log in at broker and registry."""
    settings = load({**FREE, "data": tmp_path}, environ={}, directory=tmp_path)
    if secured:
        assert initialise(load({"data": tmp_path}, environ={}, directory=tmp_path), [])
    async with Node(settings, ("broker", "registry", "router")) as node:
        url = {"url": node.ready.registry}
        there = node.settings.registry.model_copy(update=url)
        mine = node.settings.model_copy(update={"registry": there})
        async with Publisher(SYSTEM, mine) as publisher:
            await publisher.publish(READINGS, reading())
        async with LogReader(node.settings.kafka) as reader:

            async def is_there() -> bool:
                bounds = await reader.bounds(f"feed.open.{READINGS}")
                return sum(end - first for first, end in bounds.values()) > 0

            await until(is_there)


async def _write_three(kafka: KafkaSettings) -> None:
    async with Admin(kafka) as admin, Producer(kafka) as producer:
        await admin.ensure_topic(TopicSpec(name="metrics.test.v1", partitions=1))
        await producer.append("metrics.test.v1", 0, [Record(b"secret-key", b"v")] * 3)


async def test_a_broker_that_stops_by_itself_ends_the_node(tmp_path: Path) -> None:
    settings = load({**FREE, "data": tmp_path}, environ={}, directory=tmp_path)
    async with Node(settings, ("broker",)) as node:
        node._broker.failed.set()
        with pytest.raises(StorageUnusable):
            await node.failed()


def test_the_age_of_a_process_counts_from_its_start() -> None:
    code = "from bus.node import process_age as age; a = age(); b = age(); print(0 < a <= b < 60)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert process_age() > 0
