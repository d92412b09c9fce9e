"""A cluster that runs: it answers, it replicates, it keeps its secrets and its data."""

import json
from pathlib import Path

import pytest

from bus.admin import Admin, TopicSpec
from bus.errors import BusError, BusUnavailable, StorageUnusable
from bus.kafka import Producer, Record
from bus.settings import KafkaSettings
from ops.kafka import cluster
from tests.city import records
from tests.engine import Engine

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.usefixtures("apache")]


@pytest.fixture(params=["kafka", "kafka3", "kafka_secure"])
def engine(request: pytest.FixtureRequest) -> Engine:
    chosen: Engine = request.getfixturevalue(request.param)
    return chosen


async def test_every_broker_answers(engine: Engine) -> None:
    assert engine.cluster is not None
    assert len(engine.settings.bootstrap.split(",")) == len(engine.cluster.brokers)
    for broker in engine.cluster.brokers:
        alone = engine.settings.model_copy(update={"bootstrap": str(broker.address)})
        async with Admin(alone) as admin:
            assert set(await admin.brokers()) == {one.id for one in engine.cluster.brokers}


async def test_a_new_engine_is_bare(bare: KafkaSettings) -> None:
    async with Admin(bare) as admin:
        assert [name for name in await admin.topics() if not name.startswith("__")] == []


async def test_a_user_of_a_secure_cluster_gets_in(kafka_secure: Engine) -> None:
    assert kafka_secure.cluster is not None
    user = await kafka_secure.cluster.add_user("somebody")
    async with Admin(user) as admin:
        assert len(await admin.brokers()) == 1


async def test_secrets_are_for_their_owner_alone(kafka_secure: Engine) -> None:
    assert kafka_secure.cluster is not None
    folder = kafka_secure.cluster.folder
    secret = ["admin.password", "keystore.pem", "broker-1/server.properties"]
    assert {(folder / name).stat().st_mode & 0o777 for name in secret} == {0o600}


async def test_one_of_three_leads(kafka3: Engine) -> None:
    assert kafka3.cluster is not None
    assert await kafka3.cluster.controller() in {1, 2, 3}


async def test_three_brokers_lose_nothing_with_one(kafka3: Engine) -> None:
    async with Admin(kafka3.settings) as admin:
        await admin.ensure_topic(TopicSpec(name="launcher.safe", partitions=1))
        configs = await admin.configs("launcher.safe")
    assert configs["min.insync.replicas"] == "2"
    assert configs["unclean.leader.election.enable"] == "false"


async def test_data_are_kept(tmp_path: Path) -> None:
    async with cluster(tmp_path) as first:
        async with Admin(first.settings) as admin:
            await admin.ensure_topic(TopicSpec(name="kept", partitions=1))
        async with Producer(first.settings) as producer:
            await producer.append("kept", 0, [Record(b"k", b"v")])
    async with cluster(tmp_path) as second:
        assert [one.value for one in await records(second.settings, "kept")] == [b"v"]


@pytest.mark.parametrize(
    ("configs", "error", "sentence"),
    [
        pytest.param(
            {"metric.reporters": "no.such.Reporter"},
            BusUnavailable,
            "broker 1 ended: .*no.such.Reporter",
            id="the broker ends at once",
        ),
        pytest.param(
            {"log.segment.bytes": "no number"},
            StorageUnusable,
            "cannot be formatted: .*no number",
            id="its log cannot be made",
        ),
    ],
)
async def test_a_configuration_that_is_none(
    tmp_path: Path, configs: dict[str, str], error: type[BusError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        async with cluster(tmp_path, configs=configs):
            pytest.fail("it started with a configuration that is none")


async def test_an_id_that_begins_with_a_dash(tmp_path: Path) -> None:
    about = {"cluster_id": "-U8nCg2mTm6QcYfGvB0aXA", "brokers": 1, "secure": False}
    (tmp_path / "cluster.json").write_text(json.dumps(about), encoding="utf-8")
    async with cluster(tmp_path) as running, Admin(running.settings) as admin:
        assert await admin.cluster_id() == "-U8nCg2mTm6QcYfGvB0aXA"
