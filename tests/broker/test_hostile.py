"""Bytes that nobody sends on purpose: requests of every API and version, and damaged ones."""

import asyncio
import dataclasses
import random
import struct
import uuid
from types import UnionType
from typing import Any, get_args, get_origin

import pytest
from kio.index import load_request_schema

from bus.broker import ApiKey, Broker
from bus.broker.apis import APIS
from tests.broker.raw import Raw, batch, fetch_fields, frame, request

pytestmark = pytest.mark.slow

SEED = 20261121
DAMAGED = 3000


def example(schema: Any, chance: random.Random) -> dict[str, Any]:
    """Return fields for a message, of the right kinds and otherwise as it comes."""
    return {field.name: value(field, field.type, chance) for field in dataclasses.fields(schema)}


def value(field: Any, kind: Any, chance: random.Random) -> Any:
    """Return a value of a field's kind."""
    if isinstance(kind, UnionType):
        if chance.random() < 0.2:
            return None
        kind = next(one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is tuple:
        return [value(field, get_args(kind)[0], chance) for _ in range(chance.randrange(3))]
    if dataclasses.is_dataclass(kind):
        return example(kind, chance)
    if field.metadata["kafka_type"].startswith("timedelta"):
        return chance.choice([0, 1, 100])
    if kind is uuid.UUID:
        return uuid.UUID(int=chance.randrange(3))
    if kind is bool:
        return chance.random() < 0.5
    if issubclass(kind, str):
        return chance.choice(["", "t", "g", "1", "zürich"])
    if issubclass(kind, bytes):
        return chance.choice([b"", batch(b"x"), batch(b"x" * 100, codec=1)])
    return chance.choice([-1, 0, 1, 2])


def served() -> list[tuple[ApiKey, int]]:
    """Return every API with every version that is served."""
    return [(key, v) for key, api in APIS.items() for v in range(api.lowest, api.highest + 1)]


@pytest.mark.parametrize("key", list(APIS), ids=lambda key: key.name.lower())
async def test_every_version_is_answered_in_its_own_form(broker: Broker, key: ApiKey) -> None:
    chance = random.Random(SEED)
    for version in range(APIS[key].lowest, APIS[key].highest + 1):
        for _ in range(4):
            async with await Raw.to(broker) as raw:
                await raw.create("t")
                fields = example(load_request_schema(key, version), chance)
                fields |= {"acks": -1, "session_timeout": 10_000, "session_id": 0}
                raw.writer.write(request(key, version, fields))
                raw.read(key, version, await raw.answer())


def damaged(chance: random.Random, whole: bytes) -> bytes:
    """Return a frame with some of its bytes changed, left out or put in, its size made good."""
    body = bytearray(whole[4:])
    for _ in range(chance.choice([1, 1, 2, 8])):
        at = chance.randrange(4, len(body)) if len(body) > 5 else 4
        match chance.randrange(4):
            case 0:
                body[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                body[at : at + 4] = struct.pack(">i", chance.choice([-1, -2, 2**31 - 1, 2**16]))
            case 2:
                del body[at : at + chance.randrange(1, 9)]
            case _:
                body[at:at] = chance.randbytes(chance.randrange(1, 9))
    return struct.pack(">i", len(body)) + bytes(body)


async def test_damaged_requests_harm_only_their_own_connection(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(SEED)
    async with await Raw.to(broker) as other:
        await other.create("untouched")
        await other.produce("untouched", batch(b"x"))
        for number in range(DAMAGED):
            key, version = chance.choice(served())
            whole = request(key, version, example(load_request_schema(key, version), chance))
            async with await Raw.to(broker) as raw:
                raw.writer.write(damaged(chance, whole))
                if number % 50 == 0:
                    assert (await other.fetch("untouched", 0)).high_watermark == 1
    assert not [record for record in caplog.records if "unexpected" in record.message]


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
