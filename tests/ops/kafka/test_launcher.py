"""Kafka on this machine: started, asked, stopped; and what is said where something is missing."""

import pytest

from bus.admin import Admin
from bus.settings import KafkaSettings
from tests.engine import Engine

pytestmark = [pytest.mark.slow, pytest.mark.kafka]


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
        assert await admin.topics() == {}


async def test_a_user_of_a_secure_cluster_gets_in(kafka_secure: Engine) -> None:
    assert kafka_secure.cluster is not None
    user = await kafka_secure.cluster.add_user("somebody")
    async with Admin(user) as admin:
        assert len(await admin.brokers()) == 1


async def test_one_of_three_leads(kafka3: Engine) -> None:
    assert kafka3.cluster is not None
    assert await kafka3.cluster.controller() in {1, 2, 3}
