"""Repeats that are in the topic: dropped within one pair of hands, counted after a change."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bus.event import Draft, Event
from bus.publisher import Publisher
from ops.torture.judgement import repeats
from ops.torture.load import SYSTEM, TOPIC, Account, Clerk, Witness
from ops.torture.observers import in_topic
from tests.city import City
from tests.waiting import until

pytestmark = pytest.mark.slow


class Clinging(Witness):
    """Notes an event and does not come back from it; it has not been settled then."""

    last = ""

    async def note(self, event: Event) -> None:
        await super().note(event)
        if event.id == self.last:
            await asyncio.Event().wait()


async def publish(city: City, *drafts: Draft) -> None:
    """Publish by a publisher that knows nothing of those before it, as after a crash."""
    async with Publisher(SYSTEM, city.settings) as publisher:
        await publisher.publish_many(TOPIC, drafts)


@asynccontextmanager
async def reading(witness: Witness) -> AsyncIterator[None]:
    """Let a witness read for the time of a block, and break it off in whatever it does."""

    async def read() -> None:
        async with witness:
            await witness.run(witness.note)

    task = asyncio.create_task(read())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_repeats_reach_a_handler_after_a_change_of_hands_alone(city: City) -> None:
    account = Account()
    clerk = Clerk(1, account, random.Random(0))
    drafts = [clerk.draft() for _ in range(5)]
    *several, last = drafts
    ids = [str(draft.id) for draft in drafts]
    first = Clinging(city.settings, account)
    first.last = ids[-1]
    await publish(city, *several)
    async with reading(first):
        await until(lambda: len(account.deliveries) == len(several))
        await publish(city, *several, *several, last)
        await until(lambda: ids[-1] in account.seen)
    assert await in_topic(city.settings, TOPIC) == {clerk.key: ids[:-1] * 3 + ids[-1:]}
    assert [one.id for one in account.deliveries] == ids
    assert repeats("handler", account.deliveries) == (0, [])
    async with reading(Witness(city.settings, account)):
        await until(lambda: [one.id for one in account.deliveries].count(ids[-1]) == 2)
    again = [one.id for one in account.deliveries[len(ids) :]]
    assert again == list(dict.fromkeys(again)), "also in these hands each of them comes once"
    assert repeats("handler", account.deliveries) == (len(again), [])
