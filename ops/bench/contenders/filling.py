"""Makes a bus with thousands of topics, groups and contracts, by few requests."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient, NewTopic
from kio.schema.errors import ErrorCode

from bus.admin import Admin
from bus.broker.keys import ApiKey
from bus.contracts import Contract, load_all
from bus.journal import TOPIC as JOURNAL
from bus.journal import Journal
from bus.journal.chain import digest_of, encode
from bus.kafka import LogReader, Producer, Record
from bus.kafka.inquiry import parts
from bus.registry.rules import Write, put_contract
from bus.registry.state import State
from bus.settings import Address, KafkaSettings
from bus.subscriber.promise import metadata
from ops.bench.model import Task, Unverified
from ops.bench.town import PARTITIONS, PROMISE, Town, member
from ops.node import NodeProcess
from ops.torture.broker.client import Client, batch

AT_ONCE = 500
"""Topics in one request."""

SIDE_BY_SIDE = 20
"""Groups whose positions are on their way at a time."""

ENTRIES = 50
"""Of the journal, in one batch."""

ANSWER = 60.0
"""Seconds that an answer may take."""

SHIPPED = "sensor.reading.v1"


def fill(task: Task) -> Mapping[str, Any]:
    """Make the folder of a node on which there is what a `Town` of this count has."""
    data, town = Path(task.folder) / "town", Town(task.count)
    with NodeProcess(data, "--roles", "broker") as node:
        bootstrap = node.ready["broker"]
        _make_topics(bootstrap, town)
        asyncio.run(_set_up(bootstrap, town))
    return {"data": str(data)}


def _make_topics(bootstrap: str, town: Town) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    wanted = [NewTopic(one, PARTITIONS) for one in town.topics]
    wanted += [NewTopic(one, 1) for one in town.dead]
    for some in parts(wanted, AT_ONCE):
        for made in admin.create_topics(list(some), request_timeout=ANSWER).values():
            made.result()


async def _write_events(address: Address, topics: Sequence[str]) -> None:
    """Write one event to the first partition of each topic, with few requests.

    By hand, as clients ask for all topics that they write to whenever one is added.
    """
    client = await Client.to(lambda: address)
    event = [{"index": 0, "records": batch(b"event", time=round(time.time() * 1000))}]
    for some in parts(topics, AT_ONCE):
        data = [{"name": topic, "partition_data": event} for topic in some]
        wanted = {"transactional_id": None, "acks": -1, "timeout": 1000, "topic_data": data}
        answer = await client.ask(ApiKey.PRODUCE, 7, **wanted)
        said = [part.error_code for one in answer.responses for part in one.partition_responses]
        if said != [ErrorCode.none] * len(some):
            raise Unverified(f"events were refused: {set(said)}")
    client.close()


async def _set_up(bootstrap: str, town: Town) -> None:
    await _write_events(Address.parse(bootstrap), [*town.topics, *town.dead])
    kafka = KafkaSettings(bootstrap=bootstrap)
    async with Admin(kafka) as admin, Producer(kafka) as producer, LogReader(kafka) as reader:
        await _commit(admin, town)
        state = State()
        journal = Journal(producer, reader, admin, state.apply)
        await journal.open()
        head = journal.head
        for some in parts(list(_contracts(town)), ENTRIES):
            records = []
            for contract in some:
                entry = _entry(head, contract)
                head = digest_of(entry)
                records.append(Record(None, entry, []))
            await producer.append(JOURNAL, 0, records)
        await journal.catch_up()
        if journal.head != head or len(state.topics) != len(town.contracts):
            raise Unverified(f"{len(state.topics)} of {len(town.contracts)} contracts are in force")


async def _commit(admin: Admin, town: Town) -> None:
    note = metadata(PROMISE)
    for some in parts(list(town.positions()), SIDE_BY_SIDE):
        async with asyncio.TaskGroup() as tasks:
            for group, positions in some:
                noted = {place: (offset, note) for place, offset in positions.items()}
                tasks.create_task(admin.set_positions(group, noted))


def _contracts(town: Town) -> Iterator[Contract]:
    (shipped,) = (contract for contract in load_all(None) if contract.topic == SHIPPED)
    for number, topic in enumerate(town.contracts):
        title = {language: f"{text} {number}" for language, text in shipped.title.items()}
        yield replace(
            shipped, topic=topic, title=title, owner=member(number), partitions=PARTITIONS
        )


def _entry(head: str, contract: Contract) -> bytes:
    """Return what the registry writes to put a contract in force; nothing else has its topic."""
    decided = put_contract(State(), contract)
    assert isinstance(decided, Write)
    return encode(head, decided.kind, decided.body, at=round(time.time() * 1000))
