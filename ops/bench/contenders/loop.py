"""Typed events with a plain loop over fastavro and aiokafka: what one writes without a library.

It does what the wire contract asks for and no more: no checks, no retries beyond aiokafka's own, no
dropping of repeats.
"""

import asyncio
import io
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import fastavro
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from uuid_utils import uuid7

from bus.contracts import Contract
from bus.event import SOURCE, partition_of
from bus.schemas import SchemaClient
from ops.bench.addresses import address, addresses
from ops.bench.contenders.stadtbus import peak_megabytes
from ops.bench.contract import SYSTEM, put_in_force
from ops.bench.envelope import Envelopes
from ops.bench.ledger import Ledger, expected
from ops.bench.model import Task

BATCH_BYTES = 500_000
"""As our publisher's batches."""

Headers = list[tuple[str, bytes]]


class Encoder:
    """Data to the key, value and headers that the wire contract asks for."""

    def __init__(self, contract: Contract) -> None:
        self._schema = fastavro.parse_schema(contract.versions[-1])
        self._frame = struct.pack(">bI", 0, contract.schema_ids[-1])
        self._topic, self._count = contract.topic.encode(), 0
        self._incarnation = uuid4().hex
        self._source = f"{SOURCE}{SYSTEM}".encode()

    def __call__(self, data: Mapping[str, Any], id_: str = "") -> tuple[bytes, bytes, Headers]:
        """Return a record's key, value and headers."""
        out = io.BytesIO()
        out.write(self._frame)
        fastavro.schemaless_writer(out, self._schema, data)
        key = data["address_id"].encode()
        self._count += 1
        return (
            key,
            out.getvalue(),
            [
                ("ce_specversion", b"1.0"),
                ("ce_source", self._source),
                ("ce_type", self._topic),
                ("content-type", b"application/avro"),
                ("ce_id", (id_ or str(uuid7())).encode()),
                ("ce_time", (datetime.now(UTC).isoformat()[:-6] + "Z").encode()),
                ("ce_subject", key),
                ("stadtbus-seq", f"{self._incarnation}/{self._count}".encode()),
            ],
        )


def decoder(schema: Any) -> Callable[[bytes], Any]:
    """Return a function from a framed value to its data."""
    parsed = fastavro.parse_schema(schema)

    def decode(value: bytes) -> Any:
        return fastavro.schemaless_reader(io.BytesIO(value[5:]), parsed, None)

    return decode


def publish_bulk(task: Task) -> Mapping[str, float]:
    """Publish in batches built by aiokafka, all partitions side by side."""
    return asyncio.run(_publish_bulk(task))


async def _publish_bulk(task: Task) -> Mapping[str, float]:
    contract = await put_in_force(task)
    events = list(addresses(task.warm + task.count))
    async with _producer(task) as producer:
        await _send_all(producer, contract, events[: task.warm])
        begun = time.perf_counter()
        await _send_all(producer, contract, events[task.warm :])
        seconds = time.perf_counter() - begun
    await check_written(task, len(events))
    return {"throughput": task.count / seconds}


async def _send_all(
    producer: AIOKafkaProducer, contract: Contract, events: Sequence[Mapping[str, Any]]
) -> None:
    encode, topic = Encoder(contract), contract.topic
    open_: dict[int, Any] = {}
    answers = []
    for data in events:
        key, value, headers = encode(data)
        partition = partition_of(data["address_id"], contract.partitions)
        batch = open_.get(partition)
        if batch is None:
            batch = open_[partition] = producer.create_batch()
        if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
            answers.append(await producer.send_batch(batch, topic, partition=partition))
            batch = open_[partition] = producer.create_batch()
            batch.append(timestamp=None, key=key, value=value, headers=headers)
    for partition, batch in open_.items():
        answers.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*answers)


def publish_single(task: Task) -> Mapping[str, float]:
    """Publish with `send_and_wait`."""
    return asyncio.run(_publish_single(task))


async def _publish_single(task: Task) -> Mapping[str, float]:
    contract = await put_in_force(task)
    encode, total = Encoder(contract), task.warm + task.count
    begun = 0.0
    async with _producer(task) as producer:
        for n in range(total):
            if n == task.warm:
                begun = time.perf_counter()
            key, value, headers = encode(address(n))
            partition = partition_of(key.decode(), contract.partitions)
            await producer.send_and_wait(
                task.topic, key=key, value=value, headers=headers, partition=partition
            )
        seconds = time.perf_counter() - begun
    await check_written(task, total)
    return {"throughput": task.count / seconds}


def consume(task: Task) -> Mapping[str, float]:
    """Read all events of the prepared topic, headers read and data decoded."""
    ledger, seconds = asyncio.run(_consume(task))
    ledger.check(expected(task.count))
    return {"throughput": ledger.count / seconds}


def catch_up(task: Task) -> Mapping[str, float]:
    """Read the backlog, and tell the time and the largest memory that it took."""
    ledger, seconds = asyncio.run(_consume(task))
    megabytes = peak_megabytes()
    ledger.check(expected(task.count))
    return {"time": seconds, "memory": megabytes}


async def _consume(task: Task) -> tuple[Ledger, float]:
    ledger, begun = Ledger(), 0.0
    topic = task.prepared["topic"]
    async with SchemaClient(task.registry) as registry:
        decode = decoder((await registry.contract(topic)).versions[-1])
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=task.bootstrap,
        group_id=task.group,
        auto_offset_reset="earliest",
        auto_commit_interval_ms=1000,
    )
    async with consumer:
        while ledger.count < task.count:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                begun = begun or time.perf_counter()
                for record in records:
                    headers = dict(record.headers)
                    data = decode(record.value)
                    key, id_ = record.key.decode(), headers["ce_id"].decode()
                    ledger.add(record.partition, key, id_, data)
        await consumer.commit()
        seconds = time.perf_counter() - begun
    return ledger, seconds


async def check_written(task: Task, count: int, *, with_ids: bool = False) -> None:
    """Read what a contender wrote, and compare: the same check for all that publish.

    Args:
        task: whose topic is read.
        count: how many events there should be.
        with_ids: whether their ids are those that `id_of` gives.

    Raises:
        Unverified: it is not what should be there.
    """
    async with SchemaClient(task.registry) as registry:
        contract = await registry.contract(task.topic)
    decode = decoder(contract.versions[-1])
    places = [TopicPartition(task.topic, n) for n in range(contract.partitions)]
    ledger, envelopes = Ledger(), Envelopes(task.topic)
    async with AIOKafkaConsumer(
        bootstrap_servers=task.bootstrap, enable_auto_commit=False
    ) as consumer:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    key = record.key.decode()
                    id_ = envelopes.add(record.partition, key, record.headers)
                    data = decode(record.value)
                    ledger.add(record.partition, key, id_ if with_ids else "", data)
    envelopes.check()
    ledger.check(expected(count, with_ids=with_ids))


def _producer(task: Task) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        bootstrap_servers=task.bootstrap,
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        max_batch_size=BATCH_BYTES,
    )
