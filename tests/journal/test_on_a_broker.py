"""The journal on a real topic, with a broker that loses answers and holds requests back."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

import bus.broker.writer as engine
from bus.admin import Admin, TopicSpec
from bus.broker import Broker
from bus.broker.faults import Delay, Fault
from bus.broker.keys import ApiKey
from bus.errors import Conflict, OutcomeUnknown
from bus.journal import TOPIC, Chain, Entry, Journal
from bus.journal.chain import encode
from bus.kafka import LogReader, Producer, Record
from bus.settings import KafkaSettings
from tests.broker.raw import Raw, batch
from tests.engine import on_embedded
from tests.kafka.batches import record, sealed

Open = Callable[..., Awaitable[tuple[Journal, list[Entry]]]]


@pytest.fixture
async def opened(bare: KafkaSettings) -> AsyncIterator[Open]:
    """Open another node's journal."""
    async with AsyncExitStack() as running:

        async def another(settle: float = 10.0) -> tuple[Journal, list[Entry]]:
            entries: list[Entry] = []
            journal = Journal(
                await running.enter_async_context(Producer(bare)),
                await running.enter_async_context(LogReader(bare)),
                await running.enter_async_context(Admin(bare)),
                entries.append,
                settle=settle,
            )
            await journal.open()
            return journal, entries

        yield another


def told(entries: list[Entry]) -> list[str]:
    return [entry.body["n"] for entry in entries if entry.kind == "note"]


async def values(kafka: KafkaSettings) -> list[bytes | None]:
    """Everything that is in the topic, whether it counts or not."""
    found = []
    async with LogReader(kafka) as reader:
        offset, end = (await reader.bounds(TOPIC))[0]
        while offset < end:
            for record in await reader.read(TOPIC, 0, offset):
                offset = record.offset + 1
                found.append(record.value)
    return found


async def let_land(land: asyncio.Event, kafka: KafkaSettings) -> None:
    """Let a request that is held back go on, and wait for its record."""
    async with LogReader(kafka) as reader:
        _, end = (await reader.bounds(TOPIC))[0]
        land.set()
        assert await reader.read(TOPIC, 0, end, max_wait=10)


async def test_the_topic_keeps_everything(opened: Open, bare: KafkaSettings) -> None:
    await opened()
    async with Admin(bare) as admin:
        configs = await admin.configs(TOPIC)
        assert (await admin.topics())[TOPIC] == 1
    assert (configs["cleanup.policy"], configs["retention.ms"]) == ("delete", "-1")


async def test_two_writers_share_one_chain(opened: Open) -> None:
    (one, first), (two, second) = await opened(), await opened()
    await one.append("note", {"n": "one"})
    with pytest.raises(Conflict):
        await two.append("note", {"n": "two"})
    await two.append("note", {"n": "two"})
    await one.catch_up()
    assert told(first) == told(second) == ["one", "two"]
    assert (one.id, one.head) == (two.id, two.head)


@on_embedded
async def test_a_lost_answer_does_not_write_twice(broker: Broker, opened: Open) -> None:
    journal, entries = await opened()
    broker.faults.arrange(ApiKey.PRODUCE, Fault.DROP_CONNECTION_AFTER_COMMIT)
    await journal.append("note", {"n": "one"})
    assert told(entries) == ["one"]


@on_embedded
async def test_a_write_that_lands_after_its_writer_gave_up(
    broker: Broker, opened: Open, bare: KafkaSettings
) -> None:
    """Another node has taken the place in between, so it is void for everybody."""
    (slow, first), (quick, second) = await opened(settle=0.3), await opened()
    land = asyncio.Event()
    broker.faults.arrange(ApiKey.PRODUCE, Delay(land))
    with pytest.raises(OutcomeUnknown, match="may still take effect"):
        await slow.append("note", {"n": "late"})
    await quick.append("note", {"n": "one"})
    await let_land(land, bare)
    for journal in (slow, quick):
        await journal.catch_up()
    assert told(first) == told(second) == ["one"]
    assert slow.head == quick.head


@on_embedded
async def test_a_write_that_lands_late_in_a_free_place_counts(
    broker: Broker, opened: Open, bare: KafkaSettings
) -> None:
    (slow, first), (other, second) = await opened(settle=0.3), await opened()
    land = asyncio.Event()
    broker.faults.arrange(ApiKey.PRODUCE, Delay(land))
    with pytest.raises(OutcomeUnknown):
        await slow.append("note", {"n": "late"})
    await let_land(land, bare)
    with pytest.raises(Conflict):
        await other.append("note", {"n": "two"})
    await slow.catch_up()
    assert told(first) == told(second) == ["late"]


async def test_records_of_others_are_void(opened: Open, bare: KafkaSettings) -> None:
    journal, entries = await opened()
    async with Producer(bare) as producer:
        strangers = [None, b"", b"{}", b'{"after":"' + b"0" * 64 + b'","kind":"note"}']
        for value in strangers:
            await producer.append(TOPIC, 0, [Record(b"key", value, [])])
    await journal.append("note", {"n": "one"})
    assert told(entries) == ["one"]
    assert (await opened())[0].head == journal.head


@on_embedded
async def test_what_cannot_be_decoded_is_void(
    broker: Broker, opened: Open, bare: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On an engine that does not look into what it is given."""
    monkeypatch.setattr(engine, "admitted", lambda batch, header, *_, **__: (batch, header))
    journal, entries = await opened()
    async with await Raw.to(broker) as raw:
        for batch in (
            sealed(record(0, header=b"\xff\xfe"), 1),
            sealed(b"garbage", 3, flags=1),
            sealed(record(0), 2),
        ):
            assert (await raw.produce(TOPIC, batch)).error_code == 0
    await journal.append("note", {"n": "one"})
    assert told(entries) == ["one"]
    assert (await opened())[0].head == journal.head


async def test_a_copy_with_other_offsets_is_the_same_chain(
    opened: Open, bare: KafkaSettings
) -> None:
    journal, entries = await opened()
    for number in range(5):
        await journal.append("note", {"n": str(number)})
    copy = "copy"
    async with Admin(bare) as admin, Producer(bare) as producer, LogReader(bare) as reader:
        await admin.ensure_topic(TopicSpec(name=copy, partitions=1))
        await producer.append(copy, 0, [Record(None, b"before", [])] * 100)
        for value in await values(bare):
            await producer.append(copy, 0, [Record(None, value, []), Record(None, b"x", [])])
        copied, chain = list[Entry](), Chain()
        offset, end = (await reader.bounds(copy))[0]
        while offset < end:
            for record in await reader.read(copy, 0, offset):
                offset = record.offset + 1
                if entry := chain.follow(record.value):
                    copied.append(entry)
    assert (chain.head, chain.id) == (journal.head, journal.id)
    assert [one.digest for one in copied] == [one.digest for one in entries]


async def test_entries_carry_the_engines_time(opened: Open) -> None:
    journal, entries = await opened()
    begun = int(time.time() * 1000)
    entry = await journal.append("note", {"n": "one"})
    assert begun - 1000 <= entry.appended <= int(time.time() * 1000) + 1000
    _, again = await opened()
    assert [one.appended for one in again] == [one.appended for one in entries]


@on_embedded
async def test_a_writer_cannot_date_an_entry_back(broker: Broker, opened: Open) -> None:
    begun = int(time.time() * 1000)
    journal, _ = await opened()
    stale = batch(encode(journal.head, "note", {"n": "old"}, at=1), times=(1,))
    async with await Raw.to(broker) as raw:
        assert (await raw.produce(TOPIC, stale)).error_code == 0
    _, entries = await opened()
    assert told(entries) == ["old"]
    assert entries[-1].appended >= begun
