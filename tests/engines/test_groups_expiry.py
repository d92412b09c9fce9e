"""Groups: positions that nobody renews are forgotten, and then the group.

How long a group without members keeps its positions, Kafka counts in minutes
(``offsets.retention.minutes``). Old commits bring a time of their own, so that it can be seen here.
"""

import asyncio
from collections.abc import Iterator

import pytest

from bus.broker import ApiKey
from tests.engine import Engine, apache_kafka
from tests.engines.party import NONE, Member, Party, subscription
from tests.waiting import until

pytestmark = pytest.mark.slow

CHECKING = {"offsets.retention.check.interval.ms": "200"}
SHORTLY = 600  # milliseconds
LONG = 3_600_000  # milliseconds
PATIENCE = {"embedded": 5.0, "kafka": 20.0}
"""Seconds after that: where nothing is expected, still enough for who looks every few seconds."""


@pytest.fixture(scope="module", params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """One engine after the other; a Kafka of its own, which looks often for what has expired."""
    if request.param == "embedded":
        yield request.getfixturevalue("embedded")
        return
    request.getfixturevalue("apache")
    with apache_kafka(tmp_path_factory.mktemp("expiring"), configs=CHECKING) as engine:
        yield engine


async def commit(member: Member, *topics: str, kept: int = SHORTLY) -> None:
    """Commit positions that are to be kept so many milliseconds."""
    part = {"partition_index": 0, "committed_offset": 7, "committed_metadata": ""}
    answer = await member.ask(
        ApiKey.OFFSET_COMMIT,
        4,
        generation_id=member.generation,
        retention_time=kept,
        topics=[{"name": name, "partitions": [part]} for name in topics],
    )
    assert {topic.partitions[0].error_code for topic in answer.topics} == {NONE}


async def test_positions_expire(engine: Engine, party: Party, topic: str) -> None:
    """Positions of a group without members are forgotten after their time, and then the group."""
    await party.admin.made(topic)
    await commit(await party.member(), topic)
    assert await party.positions() == {(topic, 0): (7, "")}

    async def forgotten() -> bool:
        return await party.positions() == {} and await party.has(state="Dead")

    async with asyncio.timeout(SHORTLY / 1000 + PATIENCE[engine.name]):
        await until(forgotten)


async def test_members_keep_positions(engine: Engine, party: Party, topic: str) -> None:
    """While a group has members, positions in topics that they are subscribed to are kept.

    One that is kept long is there before: Kafka forgets a group that has neither members nor
    positions, also between the two requests with which its first member joins.
    """
    other, before = f"{topic}.other", f"{topic}.before"
    for name in (topic, other, before):
        await party.admin.made(name)
    await commit(await party.member(), before, kept=LONG)
    (member,) = await party.gather(1, protocols=[("range", subscription(topic))])
    await commit(member, topic, other)

    async def other_forgotten() -> bool:
        await member.beat()
        return await party.positions() == {(topic, 0): (7, ""), (before, 0): (7, "")}

    async with asyncio.timeout(SHORTLY / 1000 + PATIENCE[engine.name]):
        await until(other_forgotten)
