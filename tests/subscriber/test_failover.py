"""What a subscriber does while brokers are away or slow to answer."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from bus.admin import Admin
from bus.errors import BusError
from bus.event import Event
from bus.kafka import GroupConsumer
from bus.publisher import Publisher
from bus.settings import Settings
from bus.subscriber import Subscriber
from tests.city import GROUP, READINGS, SYSTEM, City, reading
from tests.engine import Switch
from tests.waiting import until

pytestmark = pytest.mark.slow

PATIENCE = 10.0
"""Seconds in which a subscriber has left, whatever the engine does."""


class Member(Subscriber):
    """A member of the group that keeps what it was given, each event for as long as told."""

    def __init__(self, settings: Settings, seconds: float = 0.0) -> None:
        super().__init__(GROUP, [READINGS], settings)
        self.ids: list[str] = []
        self._seconds = seconds

    async def keep(self, event: Event) -> None:
        await asyncio.sleep(self._seconds)
        self.ids.append(event.id)


async def publish(city: City, count: int) -> set[str]:
    """Publish readings of many series, so that they lie in several partitions."""
    async with Publisher(SYSTEM, city.settings) as publisher:
        many = [reading(number, f"series-{number}") for number in range(count)]
        return {receipt.id for receipt in await publisher.publish_many(READINGS, many)}


async def test_a_subscriber_leaves_though_its_positions_cannot_be_stored(
    city: City, switch: Switch
) -> None:
    await publish(city, 10)
    async with Member(city.settings) as member:
        running = asyncio.create_task(member.run(member.keep))
        await until(lambda: len(member.ids) == 10)
        await switch.off()
        member.stop()
        async with asyncio.timeout(PATIENCE):
            await running


async def test_a_rebalance_may_take_longer_than_an_answer(city: City) -> None:
    kafka = city.settings.kafka.model_copy(update={"answer_seconds": 1.0})
    settings = city.settings.model_copy(update={"kafka": kafka})
    ids = await publish(city, 10)
    slow, quick = Member(settings, seconds=3.0), Member(settings)
    async with AsyncExitStack() as stack:
        tasks = []
        for member in (slow, quick):
            await stack.enter_async_context(member)
            tasks.append(asyncio.create_task(member.run(member.keep)))
            # The slow one has events in hand when the quick one asks to join.
            await until(lambda member=member: len(member._workers) > 0)  # type: ignore[misc]
        slow._seconds = 0.0
        ids |= await publish(city, 10)
        await until(lambda: ids == {*slow.ids, *quick.ids})
        slow.stop()
        quick.stop()
        await asyncio.gather(*tasks)
    assert len(slow.ids) + len(quick.ids) == len(ids)
    assert quick.ids


async def test_a_subscriber_that_fails_leaves_its_group(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(city, 10)

    async def refuse(*_: object) -> None:
        raise BusError("the engine answered something that nobody foresaw")

    monkeypatch.setattr(GroupConsumer, "commit", refuse)
    async with Member(city.settings) as member, Admin(city.settings.kafka) as admin:
        with pytest.raises(BusError, match="nobody foresaw"):
            await asyncio.wait_for(member.run(member.keep), PATIENCE)
        # Had it not left, it would be a member for as long as its process lives.
        assert (await admin.describe_group(GROUP)).members == ()
