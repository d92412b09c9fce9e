"""What subscribing promises, with a broker, a registry and handlers that fail."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

import bus.broker.writer as engine
from bus.admin import Admin
from bus.broker import Broker
from bus.broker.faults import Fault
from bus.broker.keys import ApiKey
from bus.errors import BadEvent, InvalidSettings, NotFound, PositionLost
from bus.event import Draft, Event, new_id
from bus.kafka import Producer, Record
from bus.publisher import Publisher
from bus.schemas import SchemaClient
from bus.settings import Settings
from bus.subscriber import RetryPolicy, Subscriber
from tests.broker.raw import Raw
from tests.city import GROUP, READINGS, SYSTEM, City, reading, records
from tests.engine import Switch, on_embedded
from tests.kafka.batches import record, sealed
from tests.waiting import until

pytestmark = pytest.mark.slow

DEAD = f"dead.de.agency.statistik.{READINGS}"
QUICK = RetryPolicy(first=0.01, longest=0.02, limit=3, pause=0.05)

Handler = Callable[[Event], Awaitable[None]]


async def publish(city: City, count: int, series: str = "a") -> list[str]:
    async with Publisher(SYSTEM, city.settings) as publisher:
        many = [reading(number, series) for number in range(count)]
        return [receipt.id for receipt in await publisher.publish_many(READINGS, many)]


class Reader:
    """A subscriber that runs beside the test; what its handler was given is in ``seen``."""

    def __init__(self, city: City, handle: Handler | None = None, **options: Any) -> None:
        options.setdefault("retry", QUICK)
        self.subscriber = Subscriber(
            options.pop("group", GROUP), [READINGS], city.settings, **options
        )
        self.seen: list[Event] = []
        self._handle = handle
        self._task: asyncio.Task[None] | None = None

    @property
    def ids(self) -> list[str]:
        return [event.id for event in self.seen]

    async def handle(self, event: Event) -> None:
        if self._handle is not None:
            await self._handle(event)
        self.seen.append(event)

    async def run(self) -> None:
        async with self.subscriber:
            await self.subscriber.run(self.handle)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self.subscriber.stop()
        await asyncio.wait_for(self._task, 20)


async def test_a_new_group_begins_with_the_oldest_event(city: City) -> None:
    ids = await publish(city, 100)
    async with Reader(city) as reader:
        await until(lambda: len(reader.seen) == 100)
        ids += await publish(city, 5)
        await until(lambda: len(reader.seen) == 105)
    assert reader.ids == ids
    event = reader.seen[3]
    assert (event.topic, event.key, event.subject) == (READINGS, "a", "100034978")
    assert event.data == reading(3) | {"quality_flag": None}
    assert event.source == f"urn:stadtbus:{SYSTEM}"
    assert event.position is not None
    assert event.position.offset == 3


async def test_a_group_goes_on_where_it_stopped(city: City) -> None:
    ids = await publish(city, 10)
    async with Reader(city) as first:
        await until(lambda: len(first.seen) == 10)
    ids += await publish(city, 10)
    async with Reader(city) as second:
        await until(lambda: len(second.seen) == 10)
    assert first.ids + second.ids == ids


async def test_an_event_that_was_not_settled_is_handled_again(city: City) -> None:
    ids = await publish(city, 3)
    reached = asyncio.Event()

    async def hang(event: Event) -> None:
        if event.id == ids[1]:
            reached.set()
            await asyncio.Event().wait()

    reader = Reader(city, hang)
    task = asyncio.create_task(reader.run())
    await asyncio.wait_for(reached.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with Reader(city) as successor:
        await until(lambda: len(successor.seen) == 2)
    assert reader.ids + successor.ids == ids


async def test_a_repeat_is_dropped(city: City) -> None:
    drafts = [Draft(data=reading(n), id=new_id()) for n in range(5)]
    async with Publisher(SYSTEM, city.settings) as publisher:
        for _ in range(3):
            await publisher.publish_many(READINGS, drafts)
        await publisher.publish(READINGS, reading(99))
    async with Reader(city) as reader:
        await until(lambda: len(reader.seen) >= 6)
    assert reader.ids[:5] == [draft.id for draft in drafts]
    assert len(reader.seen) == 6


async def test_a_bad_event_becomes_a_dead_letter_and_the_next_one_goes_on(city: City) -> None:
    ids = await publish(city, 5)

    async def refuse(event: Event) -> None:
        if event.id == ids[2]:
            raise BadEvent("counts\nbicycles that are not there")

    async with Reader(city, refuse) as reader:
        await until(lambda: len(reader.seen) == 4)
    assert reader.ids == ids[:2] + ids[3:]
    (dead,) = await records(city.settings.kafka, DEAD)
    original = (await records(city.settings.kafka, READINGS))[2]
    assert (dead.key, dead.value, dead.partition) == (
        original.key,
        original.value,
        original.partition,
    )
    assert dead.headers[: len(original.headers)] == original.headers
    added = dict(dead.headers[len(original.headers) :])
    assert added["stadtbus-dead-reason"] == b"bad-event"
    assert added["stadtbus-dead-detail"] == b"counts\nbicycles that are not there"
    assert added["stadtbus-dead-origin"] == f"{READINGS}/{original.partition}/2".encode()
    assert added["stadtbus-dead-group"] == GROUP.encode()
    assert added["stadtbus-dead-time"].endswith(b"Z")


async def good(settings: Settings) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return the value and headers of an event as they lie on the topic."""
    async with Publisher(SYSTEM, settings) as publisher:
        await publisher.publish(READINGS, reading())
    (record, *_) = await records(settings.kafka, READINGS)
    return record.value or b"", list(record.headers)


async def test_bytes_that_are_no_event_stop_nobody(city: City) -> None:
    value, headers = await good(city.settings)
    await publish(city, 1, "b")
    wrong = [v for v in headers if v[0] != "ce_id"]
    poison = {
        "bad-frame": Record(b"a", b"\x01abc", headers),
        "bad-envelope": Record(b"a", value, wrong),
        "bad-key": Record(None, value, headers),
        "bad-data": Record(b"a", value + b"\x00", headers),
        "unknown-schema": Record(b"a", b"\x00\x00\x00\x27\x0f" + value[5:], headers),
    }
    async with Producer(city.settings.kafka) as producer:
        for partition in range(3):
            await producer.append(READINGS, partition, list(poison.values()))
    last = await publish(city, 1)
    async with Reader(city) as reader:
        await until(lambda: last[0] in reader.ids)
        found: list[Any] = []
        async with asyncio.timeout(20):
            while len(found) < 15:
                found = await records(city.settings.kafka, DEAD)
    assert len(reader.seen) == 3
    by_reason = {dict(dead.headers)["stadtbus-dead-reason"].decode(): dead for dead in found}
    assert {
        reason: Record(dead.key, dead.value, list(dead.headers)[:-5])
        for reason, dead in by_reason.items()
    } == poison


async def letters(city: City, count: int) -> list[dict[str, Any]]:
    """Wait for so many dead letters, and return their headers with ``value``."""
    found: list[Any] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found = await records(city.settings.kafka, DEAD)
    return [{"value": dead.value, **dict(dead.headers)} for dead in found]


async def test_a_header_that_is_no_utf_8_stops_nobody(city: City, kcat: str) -> None:
    """What any Kafka client can write, in each partition, between good events."""
    ids = [i for series in "abcdef" for i in await publish(city, 2, series)]
    for partition in "012":
        arguments = ["-P", "-b", city.settings.kafka.bootstrap, "-t", READINGS, "-p", partition]
        program = await asyncio.create_subprocess_exec(
            kcat, *arguments, "-H", b"\xff\xfe=1", stdin=asyncio.subprocess.PIPE
        )
        await program.communicate(b"hello")
        assert program.returncode == 0
    ids += [i for series in "abcdef" for i in await publish(city, 2, series)]
    async with Reader(city) as reader:
        await until(lambda: len(reader.seen) >= len(ids))
        dead = await letters(city, 3)
        ids += await publish(city, 1)
        await until(lambda: len(reader.seen) >= len(ids))
    assert sorted(reader.ids) == sorted(ids)
    assert {d["stadtbus-dead-reason"] for d in dead} == {b"bad-envelope"}
    assert [(d["value"], d[r"\xff\xfe"]) for d in dead] == [(b"hello", b"1")] * 3
    async with Reader(city) as successor:
        ids = await publish(city, 1)
        await until(lambda: bool(successor.seen))
    assert successor.ids == ids


@on_embedded
async def test_a_batch_that_lies_stops_nobody(
    city: City, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On an engine that does not look into what it is given."""
    monkeypatch.setattr(engine, "admitted", lambda batch, header, *_, **__: (batch, header))
    ids = [i for series in "abcdef" for i in await publish(city, 2, series)]
    async with Reader(city) as reader:
        await until(lambda: len(reader.seen) == len(ids))
        lies = [sealed(b"garbage", 4, flags=1), sealed(record(0), 2), sealed(record(9), 1)]
        async with await Raw.to(broker) as raw:
            for lie in lies:
                for partition in range(3):
                    answer = await raw.produce(READINGS, lie, partition=partition)
                    assert answer.error_code == 0
        ids += [i for series in "abcdef" for i in await publish(city, 2, series)]
        await until(lambda: len(reader.seen) >= len(ids))
        dead = await letters(city, 9)
    assert sorted(reader.ids) == sorted(ids)
    assert {d["stadtbus-dead-reason"] for d in dead} == {b"bad-batch"}
    assert {d["value"][61:] for d in dead} == {lie[61:] for lie in lies}


@on_embedded
async def test_a_letter_that_is_too_large_is_written_without_its_value(
    city: City, broker: Broker
) -> None:
    """A small batch that unpacks to five million bytes, and one whose key does."""
    builder = DefaultRecordBatchBuilder(2, 1, 0, -1, -1, -1, 2**24)
    zeros = bytes(5_000_000)
    builder.append(offset=0, timestamp=0, key=b"a", value=zeros, headers=[("h", b"1")])
    builder.append(offset=1, timestamp=0, key=zeros, value=b"v", headers=[])
    async with await Raw.to(broker) as raw:
        assert (await raw.produce(READINGS, bytes(builder.build()))).error_code == 0
    async with Reader(city) as reader:
        ids = await publish(city, 1)
        await until(lambda: reader.ids == ids)
        dead = await letters(city, 2)
    assert [(d.get("value"), d.get("h")) for d in dead] == [(None, b"1"), (None, None)]
    assert [d["stadtbus-dead-size"] for d in dead] == [b"5000000", b"1"]
    hashes = [hashlib.sha256(value).hexdigest().encode() for value in (zeros, b"v")]
    assert [d["stadtbus-dead-sha256"] for d in dead] == hashes
    assert [d["stadtbus-dead-without"] for d in dead] == [b"value", b"key, value, headers"]
    origins = [d["stadtbus-dead-origin"].decode() for d in dead]
    assert origins == [f"{READINGS}/0/0", f"{READINGS}/0/1"]


async def test_a_schema_of_another_topic_is_unknown(city: City) -> None:
    _, headers = await good(city.settings)
    async with SchemaClient(city.settings.registry.url) as registry:
        other = (await registry.contract("address.building-changed.v1")).schema_ids[0]
    async with Producer(city.settings.kafka) as producer:
        await producer.append(
            READINGS, 0, [Record(b"a", b"\x00" + other.to_bytes(4, "big"), headers)]
        )
    async with Reader(city) as reader:
        await until(lambda: len(reader.seen) == 1)
        async with asyncio.timeout(20):
            while not (found := await records(city.settings.kafka, DEAD)):
                pass
    assert ("stadtbus-dead-reason", b"unknown-schema") in found[0].headers


async def test_a_handler_in_trouble_is_tried_again_and_nothing_is_set_aside(city: City) -> None:
    ids = await publish(city, 3)
    failures = iter([OSError("database is down")] * 2)

    async def fail(event: Event) -> None:
        if event.id == ids[1]:
            for error in failures:
                raise error

    async with Reader(city, fail) as reader:
        await until(lambda: len(reader.seen) == 3)
    assert reader.ids == ids
    assert await records(city.settings.kafka, DEAD) == []


async def test_a_partition_whose_handler_keeps_failing_pauses_and_others_go_on(
    city: City, caplog: pytest.LogCaptureFixture
) -> None:
    stuck = await publish(city, 2, "a")
    others = [i for series in ("b", "c", "d", "e") for i in await publish(city, 2, series)]
    broken = True

    async def fail(event: Event) -> None:
        if broken and event.key == "a":
            raise OSError("database is down")

    async with Reader(city, fail) as reader:
        with caplog.at_level(logging.ERROR, "bus.subscriber"):
            await until(lambda: "pauses for" in caplog.text)
        # Keys of the same partition wait behind the one that fails, all others are through.
        await until(lambda: len(reader.seen) >= 2)
        assert not set(stuck) & set(reader.ids)
        broken = False
        await until(lambda: len(reader.seen) == 10)
    assert set(reader.ids) == {*stuck, *others}
    assert [i for i in reader.ids if i in stuck] == stuck
    assert await records(city.settings.kafka, DEAD) == []


async def test_batches_come_in_order_and_a_bad_event_is_found_in_them(city: City) -> None:
    ids = await publish(city, 1200)
    bad = {ids[7], ids[800]}
    seen: list[str] = []
    sizes: set[int] = set()

    async def handle(events: Sequence[Event]) -> None:
        if any(event.id in bad for event in events):
            raise BadEvent("not this one")
        sizes.add(len(events))
        seen.extend(event.id for event in events)
        if len(seen) == 1198:
            subscriber.stop()

    async with Subscriber(GROUP, [READINGS], city.settings) as subscriber:
        await asyncio.wait_for(subscriber.run_batches(handle), 20)
    assert seen == [id_ for id_ in ids if id_ not in bad]
    assert max(sizes) > 100
    assert len(await records(city.settings.kafka, DEAD)) == 2


@pytest.mark.parametrize("way", ["one by one", "in batches"])
async def test_nothing_is_handed_over_once_stop_was_called(city: City, way: str) -> None:
    ids = await publish(city, 5000)
    handed: list[list[str]] = []
    for turn in (1, 2):
        async with Subscriber(GROUP, [READINGS], city.settings) as subscriber:

            async def one(event: Event, subscriber: Subscriber = subscriber) -> None:
                handed.append([event.id])
                subscriber.stop()

            async def many(events: Sequence[Event], subscriber: Subscriber = subscriber) -> None:
                handed.append([event.id for event in events])
                subscriber.stop()

            run = subscriber.run(one) if way == "one by one" else subscriber.run_batches(many)
            await asyncio.wait_for(run, 20)
        assert len(handed) == turn
        handled = [id_ for events in handed for id_ in events]
        assert handled == ids[: len(handled)]
        async with Admin(city.settings.kafka) as admin:
            positions = await admin.group_offsets(GROUP)
        assert sum(positions.values()) == len(handled)


async def test_two_members_share_the_partitions_and_hand_over(city: City) -> None:
    ids: list[str] = []
    async with Reader(city) as one:
        for series in "abcdef":
            ids += await publish(city, 5, series)
        await until(lambda: len(one.seen) == 30)
        async with Reader(city) as two:
            async with Admin(city.settings.kafka) as admin:
                async with asyncio.timeout(20):
                    while len((await admin.describe_group(GROUP)).members) < 2:
                        pass
            await until(lambda: len(two.subscriber._workers) > 0)
            for series in "abcdef":
                ids += await publish(city, 5, series)
            await until(lambda: len(one.seen) + len(two.seen) >= 60)
            assert two.seen
        ids += await publish(city, 5)
        await until(lambda: set(one.ids + two.ids) == set(ids))
    # Positions are committed before a partition is given away: nothing comes twice.
    assert sorted(one.ids + two.ids) == sorted(ids)


async def test_a_broker_that_restarts_costs_nothing(city: City, switch: Switch) -> None:
    ids = await publish(city, 20)
    async with Reader(city) as reader:
        await until(lambda: len(reader.seen) == 20)
        await switch.off()
        await switch.on()
        ids += await publish(city, 20)
        await until(lambda: len(reader.seen) >= 40)
    assert reader.ids == ids


@on_embedded
async def test_a_lost_answer_costs_nothing(city: City, broker: Broker) -> None:
    ids = await publish(city, 20)
    for api in (ApiKey.FETCH, ApiKey.OFFSET_COMMIT, ApiKey.FETCH):
        broker.faults.arrange(api, Fault.DROP_CONNECTION_AFTER_COMMIT)
    async with Reader(city) as reader:
        ids += await publish(city, 20)
        await until(lambda: len(reader.seen) >= 40)
    assert reader.ids == ids


async def test_a_position_that_is_lost_stops_the_subscriber(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(city, 3)

    async with Reader(city) as reader:
        await until(lambda: len(reader.seen) == 3)
        assert reader.subscriber._consumer is not None
    stopped = Reader(city)
    async with stopped.subscriber:
        monkeypatch.setattr(stopped.subscriber, "_first", _far_away)
        with pytest.raises(PositionLost, match=r"sensor\.reading\.v1-\d at 1000"):
            await asyncio.wait_for(stopped.subscriber.run(stopped.handle), 20)


async def _far_away(_: object) -> int:
    return 1000


async def test_a_registry_that_is_down_does_not_stop_known_schemas(city: City) -> None:
    ids = await publish(city, 3)
    async with Reader(city) as reader:
        await until(lambda: len(reader.seen) == 3)
    await city.registry.stop()
    ids += await publish(city, 3)
    async with Reader(city) as successor:
        await until(lambda: len(successor.seen) == 3)
    assert reader.ids + successor.ids == ids


async def test_an_unknown_schema_waits_for_the_registry(
    city: City, caplog: pytest.LogCaptureFixture
) -> None:
    """A schema that was registered later, with the registry away when its first event comes."""
    async with SchemaClient(city.settings.registry.url) as registry:
        contract = await registry.contract(READINGS)
        newer = contract.versions[1] | {
            "fields": [
                *contract.versions[1]["fields"],
                {"name": "battery", "type": ["null", "int"], "default": None, "doc": "Per cent."},
            ]
        }
        value, headers = await good(city.settings)
        async with Reader(city) as reader:
            await until(lambda: len(reader.seen) == 1)
            schema_id = await registry.register(f"{READINGS}-value", newer)
            url, reader.subscriber._registry._rest._http.base_url = (
                reader.subscriber._registry._rest._http.base_url,
                "http://127.0.0.1:1",
            )
            framed = b"\x00" + schema_id.to_bytes(4, "big") + value[5:] + b"\x02\x80\x01"
            fresh = [h if h[0] != "ce_id" else ("ce_id", new_id().encode()) for h in headers]
            async with Producer(city.settings.kafka) as producer:
                await producer.append(READINGS, 0, [Record(b"a", framed, fresh)])
            await until(lambda: f"waiting for schema {schema_id}" in caplog.text)
            reader.subscriber._registry._rest._http.base_url = url
            await until(lambda: len(reader.seen) == 2)
    assert (reader.seen[1].data or {})["battery"] == 64
    assert await records(city.settings.kafka, DEAD) == []


async def test_events_of_both_versions_are_read_as_one(city: City) -> None:
    async with (
        Publisher(SYSTEM, city.settings, versions={READINGS: 1}) as old,
        Publisher(SYSTEM, city.settings) as new,
    ):
        await old.publish(READINGS, reading(1))
        await new.publish(READINGS, reading(2) | {"quality_flag": "x"})
    async with (
        Reader(city) as plain,
        Reader(city, group=GROUP + "-1", versions={READINGS: 1}) as first,
        Reader(city, group=GROUP + "-2", versions={READINGS: 2}) as second,
    ):
        await until(lambda: len(plain.seen) == len(first.seen) == len(second.seen) == 2)

    def flags(reader: Reader) -> list[Any]:
        return [(event.data or {}).get("quality_flag", "absent") for event in reader.seen]

    assert flags(plain) == ["absent", "x"]
    assert flags(first) == ["absent", "absent"]
    assert flags(second) == [None, "x"]


async def test_what_cannot_be_used_is_named(city: City) -> None:
    with pytest.raises(InvalidSettings, match="named after its member"):
        Subscriber("count-report", [READINGS], city.settings)
    with pytest.raises(InvalidSettings, match="at least one topic"):
        Subscriber(GROUP, [], city.settings)
    with pytest.raises(NotFound):
        async with Subscriber(GROUP, ["no.such-thing.v1"], city.settings):
            pass

    def plain(event: Event) -> None:
        pass

    async with Subscriber(GROUP, [READINGS], city.settings) as subscriber:
        with pytest.raises(InvalidSettings, match="coroutine function without"):
            await subscriber.run(plain)  # type: ignore[arg-type]
