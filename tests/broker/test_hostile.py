"""Bytes that nobody sends on purpose: requests of every API and version, and damaged ones."""

import asyncio
import random

import pytest
from kio.index import load_request_schema

from bus.broker import ApiKey, Broker
from bus.broker.apis import APIS
from ops.torture.broker.hostile import example
from tests.broker.raw import Raw, fetch_fields, frame, request

pytestmark = pytest.mark.slow

SEED = 20261121


@pytest.mark.parametrize("key", list(APIS), ids=lambda key: key.name.lower())
async def test_every_version_is_answered_in_its_own_form(broker: Broker, key: ApiKey) -> None:
    chance = random.Random(SEED)
    for version in range(APIS[key].lowest, APIS[key].highest + 1):
        for _ in range(4):
            async with await Raw.to(broker) as raw:
                await raw.create("u")
                fields = example(load_request_schema(key, version), chance)
                fields |= {"acks": -1, "session_timeout": 10_000, "session_id": 0}
                raw.writer.write(request(key, version, fields))
                raw.read(key, version, await raw.answer())


async def test_noise_harms_only_its_own_connection(broker: Broker) -> None:
    chance = random.Random(SEED)
    async with await Raw.to(broker) as other:
        for _ in range(200):
            async with await Raw.to(broker) as raw:
                raw.writer.write(chance.randbytes(chance.randrange(1, 3000)))
        await other.ask(ApiKey.METADATA, 1, topics=None)


async def test_a_client_that_goes_leaves_nothing_waiting(broker: Broker) -> None:
    async with await Raw.to(broker) as other:
        await other.create("t")
        for _ in range(20):
            async with await Raw.to(broker) as raw:
                raw.send(ApiKey.FETCH, 11, **fetch_fields("t", 0, max_wait=2**31 - 1))
                await raw.writer.drain()
                await other.ask(ApiKey.METADATA, 1, topics=None)
        async with asyncio.timeout(5):
            while len(broker._connections) > 1:
                await other.ask(ApiKey.METADATA, 1, topics=None)


async def test_a_client_that_sends_half_a_frame_holds_nobody_up(broker: Broker) -> None:
    async with await Raw.to(broker) as raw, await Raw.to(broker) as other:
        raw.writer.write(frame(ApiKey.METADATA, 1, b"\xff\xff\xff\xff")[:-2])
        await other.ask(ApiKey.METADATA, 1, topics=None)
