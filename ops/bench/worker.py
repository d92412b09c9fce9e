"""One contender's run, in a process of its own: publish or consume, then verify.

    python -m ops.bench.worker publish|consume ours|confluent --events N --run R

Where the bus is comes from the settings' environment variables. The last line of standard output
is JSON: seconds, events, and whether the data were what they should be. Time runs from the first
event to the last acknowledgement, or from the first record read to the last; connecting, and
verifying what was read, are outside it.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bus import Event, Publisher, Subscriber, load
from bus.kafka import LogReader
from ops.bench.addresses import SYSTEM, TOPIC, addresses

CHUNK = 5_000
"""Events handed to our publisher at once."""

WARM = 100
"""Events of each run before its clock starts."""

Run = Callable[[int, str], Any]


def publish_ours(count: int, run: str) -> dict[str, Any]:
    """Publish in bulk with our own publisher."""
    return asyncio.run(_publish_ours(count, run))


async def _publish_ours(count: int, run: str) -> dict[str, Any]:
    events = list(addresses(count, run))
    before = await _written()
    async with Publisher(SYSTEM) as publisher:
        await publisher.publish_many(TOPIC, list(addresses(WARM, f"{run}-warm")))
        begun = time.perf_counter()
        receipts = 0
        for start in range(0, count, CHUNK):
            receipts += len(await publisher.publish_many(TOPIC, events[start : start + CHUNK]))
        seconds = time.perf_counter() - begun
    written = await _written() - before - WARM
    return _report(seconds, count, verified=receipts == count == written)


def publish_confluent(count: int, run: str) -> dict[str, Any]:
    """Publish with confluent-kafka and its Avro serializer, with the same headers."""
    from confluent_kafka import Producer
    from confluent_kafka.serialization import MessageField, SerializationContext
    from uuid_utils import uuid7

    from ops.bench.peers import serializer

    settings = load()
    serialize = serializer(settings.registry.url, TOPIC)
    context = SerializationContext(TOPIC, MessageField.VALUE)
    producer = Producer(
        {
            "bootstrap.servers": settings.kafka.bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 5,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    acknowledged = 0

    def on_delivery(error: Any, _: Any) -> None:
        nonlocal acknowledged
        acknowledged += error is None

    def send(event: dict[str, Any], number: int) -> None:
        moment = datetime.now(UTC).isoformat()[:-6] + "Z"
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_source", f"urn:stadtbus:{SYSTEM}".encode()),
            ("ce_type", TOPIC.encode()),
            ("content-type", b"application/avro"),
            ("ce_id", str(uuid7()).encode()),
            ("ce_time", moment.encode()),
            ("ce_subject", event["address_id"].encode()),
            ("stadtbus-seq", f"confluent/{number + 1}".encode()),
        ]
        key, value = event["address_id"].encode(), serialize(event, context)
        producer.produce(TOPIC, key=key, value=value, headers=headers, on_delivery=on_delivery)

    events = list(addresses(count, run))
    before = asyncio.run(_written())
    for number, event in enumerate(addresses(WARM, f"{run}-warm")):
        send(event, number)
    producer.flush()
    acknowledged = 0
    begun = time.perf_counter()
    for number, event in enumerate(events):
        send(event, number)
        if number % 1000 == 0:
            producer.poll(0)
    producer.flush()
    seconds = time.perf_counter() - begun
    written = asyncio.run(_written()) - before - WARM
    return _report(seconds, count, verified=acknowledged == count == written)


def consume_ours(count: int, run: str) -> dict[str, Any]:
    """Consume in bulk with our own subscriber, envelope and data decoded."""
    return asyncio.run(_consume_ours(count, run))


async def _consume_ours(count: int, run: str) -> dict[str, Any]:
    events: list[Event] = []
    begun = 0.0
    async with Subscriber(f"de.agency.bench.{run}", [TOPIC]) as subscriber:

        async def handle(batch: Any) -> None:
            nonlocal begun
            begun = begun or time.perf_counter()
            events.extend(batch)
            if len(events) >= count:
                subscriber.stop()

        await subscriber.run_batches(handle)
        seconds = time.perf_counter() - begun
    found = [(event.key, event.id, event.data) for event in events]
    return _report(seconds, len(found), verified=await _is_what_was_written(found))


def consume_confluent(count: int, run: str) -> dict[str, Any]:
    """Consume with confluent-kafka and its Avro deserializer, headers read."""
    from confluent_kafka import Consumer
    from confluent_kafka.serialization import MessageField, SerializationContext

    from ops.bench.peers import deserializer

    settings = load()
    deserialize = deserializer(settings.registry.url)
    context = SerializationContext(TOPIC, MessageField.VALUE)
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka.bootstrap,
            "group.id": f"de.agency.bench.{run}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 2,
        }
    )
    consumer.subscribe([TOPIC])
    found: list[tuple[str, str, Any]] = []
    begun = 0.0
    while len(found) < count:
        for message in consumer.consume(500, 1.0):
            begun = begun or time.perf_counter()
            headers = dict(message.headers())
            data = deserialize(message.value(), context)
            found.append((message.key().decode(), headers["ce_id"].decode(), data))
    consumer.commit(asynchronous=False)
    seconds = time.perf_counter() - begun
    consumer.close()
    return _report(seconds, len(found), verified=asyncio.run(_is_what_was_written(found)))


async def _written() -> int:
    async with LogReader(load().kafka) as reader:
        return sum(end for _, end in (await reader.bounds(TOPIC)).values())


async def _is_what_was_written(found: list[tuple[str, str, Any]]) -> bool:
    """Whether each made-up event was read once, whole, under an id of its own."""
    ids = {id_ for _, id_, _ in found}
    runs: dict[str, dict[int, Any]] = {}
    for key, _, data in found:
        run, _, number = key.rpartition("/")
        runs.setdefault(run, {})[int(number)] = data
    whole = all(
        list(addresses(len(events), run)) == [events[n] for n in sorted(events)]
        for run, events in runs.items()
    )
    counted = sum(map(len, runs.values())) == len(found) == len(ids)
    return whole and counted and len(found) == await _written()


def _report(seconds: float, events: int, *, verified: bool) -> dict[str, Any]:
    return {"seconds": seconds, "events": events, "verified": verified}


RUNS: dict[tuple[str, str], Run] = {
    ("publish", "ours"): publish_ours,
    ("publish", "confluent"): publish_confluent,
    ("consume", "ours"): consume_ours,
    ("consume", "confluent"): consume_confluent,
}


def main() -> None:
    """Run one contender and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=["publish", "consume"])
    parser.add_argument("contender", choices=["ours", "confluent"])
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--run", required=True)
    given = parser.parse_args()
    print(
        json.dumps(
            RUNS[given.task, given.contender](given.events, f"{given.contender}-{given.run}")
        )
    )


if __name__ == "__main__":
    main()
