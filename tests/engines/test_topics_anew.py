"""A topic that was deleted and made again is another one, to each kind of client."""

import asyncio

from confluent_kafka import Producer as ConfluentProducer
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from tests.broker.raw import DEADLINE, Raw, batch
from tests.engine import Engine
from tests.engines.log import stored
from tests.engines.party import Party
from tests.engines.test_produce_idempotent import new_producer
from tests.waiting import until

NONE = ErrorCode.none
GONE = ErrorCode.unknown_topic_or_partition


async def delete(raw: Raw, topic: str) -> None:
    """Delete a topic, and return once nobody knows it any more."""
    answer = await raw.ask(ApiKey.DELETE_TOPICS, 3, topic_names=[topic], timeout=5000)
    assert answer.responses[0].error_code is NONE

    async def unknown() -> bool:
        return (await raw.fetch(topic, 0)).error_code is GONE

    await until(unknown)


async def remake(raw: Raw, topic: str) -> None:
    """Delete a topic and make it again."""
    await delete(raw, topic)
    await raw.made(topic)


async def test_offsets_begin_anew(raw: Raw, topic: str) -> None:
    """The new topic is empty, and whoever reads on from an offset of the old one is told so."""
    await raw.made(topic)
    for _ in range(3):
        await raw.produce(topic, batch(b"old"))
    await remake(raw, topic)
    assert (await raw.fetch(topic, 0)).high_watermark == 0
    assert (await raw.fetch(topic, 3)).error_code is ErrorCode.offset_out_of_range
    assert (await raw.produce(topic, batch(b"new"))).base_offset == 0
    assert [one.value for one in await stored(raw, topic)] == [b"new"]


async def test_an_idempotent_producer_goes_on(raw: Raw, topic: str) -> None:
    """What a producer had written is forgotten with the topic: it goes on where it is."""
    await raw.made(topic)
    id_ = (await new_producer(raw)).producer_id
    for number in range(3):
        await raw.produce(topic, batch(b"old", producer=(id_, 0, number)))
    await delete(raw, topic)
    refused = await raw.produce(topic, batch(b"new", producer=(id_, 0, 3)))
    assert refused.error_code is GONE
    await raw.made(topic)
    told = [await raw.produce(topic, batch(b"new", producer=(id_, 0, n))) for n in (3, 3, 4, 6)]
    assert [(one.error_code, one.base_offset) for one in told] == [
        (NONE, 0),
        (NONE, 0),
        (NONE, 1),
        (ErrorCode.out_of_order_sequence_number, -1),
    ]


async def test_positions_are_gone(party: Party, raw: Raw, topic: str) -> None:
    """A position in the old topic is none in the new one."""
    await raw.made(topic)
    (member,) = await party.gather(1)
    assert await member.commit(topic, 3) is NONE
    await delete(raw, topic)

    async def forgotten() -> bool:  # Kafka forgets positions after it has answered
        return not any(name == topic for name, _ in await party.positions())

    await until(forgotten)
    await raw.made(topic)
    assert (await party.positions(topic))[topic, 0][0] == -1
    assert await member.commit(topic, 1) is NONE
    assert (await party.positions(topic))[topic, 0][0] == 1


async def test_a_client_goes_on(engine: Engine, raw: Raw, topic: str) -> None:
    """confluent-kafka's idempotent producer waits for the new topic, and writes to it."""
    await raw.made(topic)
    producer = ConfluentProducer(
        {"bootstrap.servers": engine.settings.bootstrap, "enable.idempotence": True}
    )
    producer.produce(topic, b"old")
    assert producer.flush(DEADLINE) == 0
    await delete(raw, topic)
    producer.produce(topic, b"new")
    flushing = asyncio.create_task(asyncio.to_thread(producer.flush, DEADLINE))
    await raw.made(topic)
    assert await flushing == 0
    assert [(one.offset, one.value) for one in await stored(raw, topic)] == [(0, b"new")]
