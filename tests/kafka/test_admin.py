"""Administration: topics come from specifications, errors are ours."""

import asyncio

import pytest

from bus.admin import Admin, TopicSpec
from bus.errors import BusUnavailable, Conflict, InvalidContract, NotFound
from bus.settings import KafkaSettings

SPEC = TopicSpec(name="test.topic.v1", partitions=2, configs={"retention.ms": "60000"})


async def visible(admin: Admin) -> dict[str, int]:
    """The topics but for the engine's own."""
    found = await admin.topics()
    return {name: count for name, count in found.items() if not name.startswith("__")}


async def test_a_topic_is_made_once(bare: KafkaSettings) -> None:
    async with Admin(bare) as admin:
        assert await admin.ensure_topic(SPEC) is True
        assert await admin.ensure_topic(SPEC) is False
        assert await visible(admin) == {"test.topic.v1": 2}
        assert (await admin.configs("test.topic.v1"))["retention.ms"] == "60000"


async def test_a_topic_that_many_want_at_once_is_made_by_one(bare: KafkaSettings) -> None:
    async with Admin(bare) as one, Admin(bare) as two:
        made = await asyncio.gather(*(admin.ensure_topic(SPEC) for admin in [one, two] * 4))
    assert sorted(made) == [False] * 7 + [True]


async def test_the_number_of_partitions_is_fixed(bare: KafkaSettings) -> None:
    async with Admin(bare) as admin:
        await admin.ensure_topic(SPEC)
        with pytest.raises(Conflict, match="has 2 partitions, its contract says 3"):
            await admin.ensure_topic(TopicSpec(name="test.topic.v1", partitions=3))


async def test_a_configuration_that_is_none_is_refused(bare: KafkaSettings) -> None:
    async with Admin(bare) as admin:
        with pytest.raises(InvalidContract):
            await admin.ensure_topic(
                TopicSpec(name="test.topic.v1", partitions=1, configs={"retention.ms": "soon"})
            )


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(TopicSpec(name="t", partitions=100_001), id="too many partitions"),
        pytest.param(TopicSpec(name="t", partitions=2**70), id="more than a machine's number"),
        pytest.param(TopicSpec(name="t\0", partitions=1), id="no text of C"),
        pytest.param(TopicSpec(name="t" * 300, partitions=1), id="a name too long"),
    ],
)
async def test_what_no_topic_can_be_is_refused(bare: KafkaSettings, spec: TopicSpec) -> None:
    async with Admin(bare) as admin:
        with pytest.raises(InvalidContract):
            await admin.ensure_topic(spec)


async def test_what_is_not_there_is_not_found(bare: KafkaSettings) -> None:
    async with Admin(bare) as admin:
        await admin.ensure_topic(SPEC)
        await admin.delete_topic("test.topic.v1")
        for call in (
            admin.delete_topic("test.topic.v1"),
            admin.configs("test.topic.v1"),
            admin.describe_group("nobody"),
        ):
            with pytest.raises(NotFound):
                await call
        assert await admin.groups() == []
        assert await admin.group_offsets("nobody") == {}


async def test_an_unreachable_broker_is_named() -> None:
    async with Admin(KafkaSettings(bootstrap="127.0.0.1:1")) as admin:
        with pytest.raises(BusUnavailable, match=r"127\.0\.0\.1:1: no broker answers"):
            await admin.topics()
