"""Disclosures as records of their topic, and back."""

import json
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.admin import Admin
from bus.avro.codec import Codec
from bus.disclosures import PARTITIONS, TOPIC, Disclosure, read, records, spec
from bus.disclosures.batch import LARGEST, MOST, SCHEMA, VERSION
from bus.errors import UndecodableEvent
from bus.kafka import Fetched, LogReader, Transactor
from bus.settings import KafkaSettings
from tests.disclosures.told import CONTRACT, NOON, OTHER, RINGELAI, TAX, WATER, fetched, told

TEXT = st.text(max_size=8)
DISCLOSURES = st.builds(
    Disclosure,
    subject=TEXT,
    owner=TEXT,
    recipient=TEXT,
    grants=st.lists(st.binary(max_size=16), max_size=3).map(tuple),
    purposes=st.lists(TEXT, max_size=2).map(tuple),
    event=st.uuids().map(str),
    fields=st.lists(TEXT, max_size=3).map(tuple),
    at_ms=st.integers(0, 2**47),
    topic=st.sampled_from(["a.b.v1", "a.c.v1"]),
    partition=st.integers(0, 3),
    offset=st.none() | st.integers(0, 2**62),
)


def value(**changes: object) -> bytes:
    """Return a record's value that holds one disclosure, but for changes."""
    terms = {"owner": RINGELAI, "recipient": TAX, "grants": [], "purposes": [], "fields": []}
    event = {"id": bytes(16), "subject": "p", "at_ms": NOON, "offset": None, "terms": [0]}
    partition = changes.get("partition", 0)
    event |= {name: new for name, new in changes.items() if name in event and name != "terms"}
    event["terms"] = changes.get("told", event["terms"])
    data = {"topic": CONTRACT, "partition": partition, "terms": [terms], "events": [event]}
    return VERSION + Codec(SCHEMA).encode(data)


def lying(content: bytes | None) -> Fetched:
    return Fetched(TOPIC, 2, 17, NOON, None, content, ())


@given(st.lists(DISCLOSURES, max_size=12))
def test_what_was_told_is_read_as_it_was(disclosures: list[Disclosure]) -> None:
    found = [one for write in records(disclosures) for one in read(fetched(write))]
    by_source = sorted(disclosures, key=lambda one: (one.topic, one.partition))
    assert sorted(found, key=lambda one: (one.topic, one.partition)) == by_source


def test_a_source_partition_is_told_of_in_one_partition_in_order() -> None:
    disclosures = [told(n, partition=n % 7) for n in range(70)]
    made = records(disclosures)
    assert len(made) == 7
    assert records(disclosures) == made
    for key, writes in groupby(made, lambda write: write[2].key):
        assert len({partition for _, partition, _ in writes}) == 1, key
    assert all(0 <= partition < PARTITIONS for _, partition, _ in made)
    assert {write[2].key for write in made} == {f"{CONTRACT}/{n}".encode() for n in range(7)}


def test_what_repeats_stands_in_a_record_once() -> None:
    both = [
        told(n, recipient=recipient, at_ms=NOON, subject=f"person-{n % 10}")
        for n in range(500)
        for recipient in (TAX, WATER)
    ]
    ((*_, record),) = records(both)
    assert record.value is not None
    assert record.value.count(RINGELAI.encode()) == record.value.count(b"new_address") == 2
    assert len(record.value) < 25 * len(both)
    alone = sum(len(json.dumps(one._asdict(), default=bytes.hex)) for one in both)
    assert len(record.value) < alone / 10


def test_a_record_is_bounded() -> None:
    long = [told(n, subject=f"{n}-{'x' * 1000}") for n in range(1000)]
    many = [told(1, grants=(bytes([n // 256, n % 256]),)) for n in range(MOST + 1)]
    huge = [told(1), told(2, subject="x" * 990_000), told(3)]
    for disclosures in (long, many, huge):
        made = records(disclosures)
        assert len(made) > 1
        assert [one for write in made for one in read(fetched(write))] == disclosures
        for write in made:
            alone = len(read(fetched(write))) == 1
            assert alone or len(write[2].value or b"") <= LARGEST
            assert len(write[2].value or b"") < int(spec().configs["max.message.bytes"])
    assert len(records(long)) < 10


def test_nothing_was_told() -> None:
    assert records([]) == []


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "the version"),
        (b"", "the version"),
        (b"\2" + value()[1:], "the version"),
        (value()[:-1], "its schema says"),
        (value() + b"\0", "its schema says"),
        (value(told=[1]), "terms that are not there"),
        (value(told=[-1]), "terms that are not there"),
        (value(told=[0] * (MOST + 1)), "more than 5000 disclosures"),
        (value(partition=-1), "-1 is no partition"),
        (value(at_ms=-1), "-1 is no time"),
        (value(at_ms=2**62), "is no time"),
    ],
)
def test_what_cannot_be_read_is_named(content: bytes | None, what: str) -> None:
    with pytest.raises(UndecodableEvent, match=what) as caught:
        read(lying(content))
    assert caught.value.where == f"{TOPIC}/2/17"
    assert caught.value.reason == "bad-data"


@given(st.data())
def test_any_bytes_are_read_or_refused(data: st.DataObject) -> None:
    good = records([told(1), told(2, recipient=WATER, offset=None)])[0][2].value or b""
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + data.draw(st.binary(max_size=6)) + good[at + data.draw(st.integers(0, 4)) :]
    try:
        found = read(lying(bad))
    except UndecodableEvent:
        return
    assert all(isinstance(one, Disclosure) for one in found)


async def test_an_engine_takes_what_the_router_commits(bare: KafkaSettings) -> None:
    disclosures = [
        told(1),
        told(1, recipient=WATER, grants=(OTHER,)),
        told(2, subject="x" * 990_000, offset=None),
    ]
    async with Admin(bare) as admin:
        await admin.ensure_topic(spec())
    largest = int(spec().configs["max.message.bytes"])
    async with Transactor(bare, "test", largest_batch=largest) as writing:
        await writing.write(records(disclosures))
    ((_, partition, _),) = {write[:2]: write for write in records(disclosures)}.values()
    async with LogReader(bare) as reader:
        assert len(await reader.bounds(TOPIC)) == PARTITIONS
        # Kafka answers before the mark of a commit is there.
        found = await reader.read(TOPIC, partition, 0, max_wait=10)
    assert [one for record in found for one in read(record)] == disclosures
