"""What publishing promises, with a broker on which things go wrong."""

import asyncio
from datetime import UTC, date, datetime, timedelta, timezone
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from kio.schema.errors import ErrorCode
from prometheus_client import CollectorRegistry

from bus.broker import Broker
from bus.broker.faults import Delay, Fail, Fault
from bus.broker.keys import ApiKey
from bus.errors import (
    BusUnavailable,
    EventTooLarge,
    InvalidEvent,
    InvalidSettings,
    NotFound,
    OutcomeUnknown,
    StorageFull,
)
from bus.event import Draft, new_id, partition_of, read_envelope
from bus.kafka import Fetched
from bus.publisher import Publisher
from bus.telemetry import Publishing
from tests.city import ADDRESSES, READINGS, SYSTEM, City, reading, records
from tests.engine import Switch, on_embedded
from tests.waiting import until

pytestmark = pytest.mark.slow


def ids(found: list[Fetched]) -> list[str]:
    return [read_envelope(record.topic, record.headers).id for record in found]


def numbers(found: list[Fetched]) -> list[int]:
    return [
        int((read_envelope(record.topic, record.headers).sequence or "").partition("/")[2])
        for record in found
    ]


async def test_a_receipt_says_where_the_event_is(city: City) -> None:
    async with Publisher(SYSTEM, city.settings) as publisher:
        receipts = [await publisher.publish(READINGS, reading(n)) for n in range(3)]
    found = await records(city.settings.kafka, READINGS)
    assert [(r.id, r.partition, r.offset) for r in receipts] == [
        (id_, record.partition, record.offset)
        for id_, record in zip(ids(found), found, strict=True)
    ]
    assert {r.partition for r in receipts} == {partition_of("a", 3)}


async def test_what_is_not_given_is_filled_in(city: City) -> None:
    before = datetime.now(UTC)
    async with Publisher(SYSTEM, city.settings) as publisher:
        await publisher.publish(READINGS, reading())
    (record,) = await records(city.settings.kafka, READINGS)
    envelope = read_envelope(READINGS, record.headers)
    assert envelope.source == f"urn:stadtbus:{SYSTEM}"
    assert envelope.subject == "100034978"
    assert before <= envelope.time <= datetime.now(UTC)
    assert envelope.traceparent is None


async def test_what_is_given_is_kept(city: City) -> None:
    id_, trace = new_id(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    at = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    async with Publisher(SYSTEM, city.settings) as publisher:
        await publisher.publish(
            READINGS, reading(), id=id_, time=at, subject="x/ü", traceparent=trace
        )
    (record,) = await records(city.settings.kafka, READINGS)
    envelope = read_envelope(READINGS, record.headers)
    assert (envelope.id, envelope.subject, envelope.traceparent) == (id_, "x/ü", trace)
    assert envelope.time == at
    assert ("ce_time", b"2026-07-01T10:00:00Z") in record.headers


async def test_events_are_counted_per_partition(city: City) -> None:
    async with Publisher(SYSTEM, city.settings) as publisher:
        await publisher.publish_many(READINGS, [reading(n, f"s{n % 7}") for n in range(50)])
        await publisher.publish_many(READINGS, [reading(n, f"s{n % 7}") for n in range(20)])
    by_partition: dict[int, list[Fetched]] = {}
    for record in await records(city.settings.kafka, READINGS):
        by_partition.setdefault(record.partition, []).append(record)
    for found in by_partition.values():
        assert numbers(found) == list(range(1, len(found) + 1))


async def test_calls_that_overlap_keep_their_order(city: City) -> None:
    async with Publisher(SYSTEM, city.settings) as publisher:
        receipts = await asyncio.gather(
            *(publisher.publish(READINGS, reading(n)) for n in range(200))
        )
    assert ids(await records(city.settings.kafka, READINGS)) == [r.id for r in receipts]


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        pytest.param({"resutl": 1.0}, "resutl", 'did you mean "result"', id="a name mistyped"),
        pytest.param({"thing": None}, "thing", "is empty, wanted text", id="nothing"),
        pytest.param({"interval_seconds": True}, "interval_seconds", "bool True", id="a bool"),
        pytest.param({"quality": "FINE"}, "quality", "wanted one of UNKNOWN", id="no symbol"),
        pytest.param({"datastream": ""}, "datastream", "part of the key", id="an empty key"),
        pytest.param(
            {"phenomenon_time": datetime(2026, 7, 1)},  # noqa: DTZ001  # the point of the case
            "phenomenon_time",
            "with its time zone",
            id="a time without zone",
        ),
    ],
)
async def test_wrong_data_is_refused_before_anything_is_sent(
    city: City, change: dict[str, Any], where: str, what: str
) -> None:
    async with Publisher(SYSTEM, city.settings) as publisher:
        with pytest.raises(InvalidEvent, match=what) as caught:
            await publisher.publish(READINGS, reading() | change)
        assert caught.value.where == where
        with pytest.raises(InvalidEvent, match=what) as caught:
            await publisher.publish_many(READINGS, [reading(), reading() | change, reading()])
        assert caught.value.where == f"event 1: {where}"
    assert await records(city.settings.kafka, READINGS) == []


@pytest.mark.parametrize(
    ("draft", "where"),
    [
        pytest.param({"id": "7"}, "id", id="an id that is no UUID"),
        pytest.param({"subject": ""}, "subject", id="an empty subject"),
        pytest.param({"subject": "\ud800"}, "subject", id="half a surrogate pair"),
        pytest.param({"traceparent": "00-0-0-0"}, "traceparent", id="no trace context"),
        pytest.param({"id": uuid4()}, "id", id="an id that is no text"),
        pytest.param({"subject": 7}, "subject", id="a subject that is no text"),
        pytest.param({"traceparent": b"00"}, "traceparent", id="a trace that is no text"),
        pytest.param({"time": "2026-07-01T00:00:00Z"}, "time", id="a time that is text"),
        pytest.param({"time": date(2026, 7, 1)}, "time", id="a time that is a day"),
        pytest.param({"headers": {"stadtbus-grant": "x"}}, "headers.stadtbus-grant", id="ours"),
        pytest.param({"headers": {"stadtbus-new": "x"}}, "headers.stadtbus-new", id="ours later"),
        pytest.param({"headers": {"ce_id": "x"}}, "headers.ce_id", id="the envelope's"),
        pytest.param({"headers": {"Ü": "x"}}, "headers.Ü", id="no name"),
    ],
)
async def test_a_wrong_envelope_is_refused(city: City, draft: dict[str, Any], where: str) -> None:
    async with Publisher(SYSTEM, city.settings) as publisher:
        with pytest.raises(InvalidEvent) as caught:
            await publisher.publish_many(READINGS, [Draft(data=reading(), **draft)])
        assert caught.value.where == f"event 0: {where}"


async def test_further_headers_pass(city: City) -> None:
    async with Publisher(SYSTEM, city.settings) as publisher:
        draft = Draft(data=reading(), headers={"ce_correlationid": "42"})
        await publisher.publish_many(READINGS, [draft])
    (record,) = await records(city.settings.kafka, READINGS)
    assert ("ce_correlationid", b"42") in record.headers


async def test_a_large_event_is_refused_and_large_batches_are_split(city: City) -> None:
    async with Publisher(SYSTEM, city.settings) as publisher:
        with pytest.raises(EventTooLarge):
            await publisher.publish(READINGS, reading() | {"unit": "x" * 1_100_000})
        large = [reading(n) | {"unit": "x" * 300_000} for n in range(5)]
        receipts = await publisher.publish_many(READINGS, large)
    assert ids(await records(city.settings.kafka, READINGS)) == [r.id for r in receipts]


@on_embedded
async def test_a_lost_answer_is_not_a_lost_event_and_no_repeat(city: City, broker: Broker) -> None:
    async with Publisher(SYSTEM, city.settings) as publisher:
        await publisher.publish(READINGS, reading())
        broker.faults.arrange(ApiKey.PRODUCE, Fault.DROP_CONNECTION_AFTER_COMMIT)
        receipts = await asyncio.gather(
            *(publisher.publish(READINGS, reading(n)) for n in range(20))
        )
    assert ids(await records(city.settings.kafka, READINGS))[1:] == [r.id for r in receipts]


@on_embedded
async def test_an_engine_that_forgot_the_producer_costs_no_event(
    city: City, broker: Broker
) -> None:
    async with Publisher(SYSTEM, city.settings) as publisher:
        first = await publisher.publish(READINGS, reading())
        broker.faults.arrange(ApiKey.PRODUCE, Fail(ErrorCode.unknown_producer_id))
        second = await publisher.publish(READINGS, reading())
    assert ids(await records(city.settings.kafka, READINGS)) == [first.id, second.id]


async def test_a_broker_that_restarts_costs_no_event(city: City, switch: Switch) -> None:
    async with Publisher(SYSTEM, city.settings) as publisher:
        await publisher.publish(READINGS, reading())
        publishing = asyncio.gather(*(publisher.publish(READINGS, reading(n)) for n in range(50)))
        await switch.off()
        await switch.on()
        receipts = await publishing
        receipts.append(await publisher.publish(READINGS, reading()))
    assert ids(await records(city.settings.kafka, READINGS))[1:] == [r.id for r in receipts]


@on_embedded
async def test_what_nobody_acknowledged_is_sent_before_anything_later(
    city: City, broker: Broker
) -> None:
    release = asyncio.Event()
    async with Publisher(SYSTEM, city.settings, deadline=0.2) as publisher:
        await publisher.publish(READINGS, reading())
        broker.faults.arrange(ApiKey.PRODUCE, Delay(release))
        unknown, later = new_id(), new_id()
        with pytest.raises(OutcomeUnknown):
            await publisher.publish(READINGS, reading(), id=unknown)
        with pytest.raises(BusUnavailable, match="nothing was sent"):
            await publisher.publish(READINGS, reading(), id=later)
        release.set()
        await publisher.publish(READINGS, reading(), id=later)
    found = await records(city.settings.kafka, READINGS)
    assert ids(found)[1:] == [unknown, later]
    assert numbers(found) == [1, 2, 3]


@on_embedded
async def test_what_met_a_full_disk_is_there_once_when_there_is_space(
    city: City, broker: Broker
) -> None:
    async with Publisher(SYSTEM, city.settings, deadline=0.4) as publisher:
        await publisher.publish(READINGS, reading())
        for _ in range(100):
            broker.faults.arrange(ApiKey.PRODUCE, Fail(ErrorCode.kafka_storage_error))
        unsure = new_id()
        with pytest.raises(StorageFull) as full:
            await publisher.publish(READINGS, reading(), id=unsure)
        assert full.value.retriable
        while broker.faults.take(ApiKey.PRODUCE):
            pass
        later = await publisher.publish(READINGS, reading())
    found = await records(city.settings.kafka, READINGS)
    assert ids(found)[1:] == [unsure, later.id]
    assert numbers(found) == [1, 2, 3]


@on_embedded
async def test_what_was_not_sent_leaves_no_gap(city: City, broker: Broker) -> None:
    async with Publisher(SYSTEM, city.settings, deadline=0.2) as publisher:
        await publisher.publish(READINGS, reading())
        broker.faults.arrange(ApiKey.PRODUCE, Fail(ErrorCode.topic_authorization_failed))
        with pytest.raises(Exception, match="lacks the right Write on the topic"):
            await publisher.publish(READINGS, reading())
        await publisher.publish(READINGS, reading())
    assert numbers(await records(city.settings.kafka, READINGS)) == [1, 2]


@on_embedded
async def test_what_is_not_sent_yet_is_shown(city: City, broker: Broker) -> None:
    registry = CollectorRegistry()
    shown = partial(registry.get_sample_value, "stadtbus_publisher_unsent_events")
    async with Publisher(SYSTEM, city.settings, metrics=Publishing(registry)) as publisher:
        await publisher.publish(READINGS, reading())
        assert (publisher.unsent, shown()) == (0, 0)
        release = asyncio.Event()
        broker.faults.arrange(ApiKey.PRODUCE, Delay(release))
        publishing = asyncio.create_task(
            publisher.publish_many(READINGS, [reading(n) for n in range(3)])
        )
        await until(lambda: shown() == 3)
        release.set()
        await publishing
        assert (publisher.unsent, shown()) == (0, 0)
    assert shown() == 0


async def test_an_older_version_may_be_written(city: City) -> None:
    newest = reading() | {"quality_flag": "0"}
    async with (
        Publisher(SYSTEM, city.settings, versions={READINGS: 1}) as old,
        Publisher(SYSTEM, city.settings) as new,
    ):
        await old.publish(READINGS, reading())
        await new.publish(READINGS, newest)
        with pytest.raises(InvalidEvent, match="no field"):
            await old.publish(READINGS, newest)
    first, second = await records(city.settings.kafka, READINGS)
    assert (first.value or b"")[:5] != (second.value or b"")[:5]


async def test_a_tombstone_ends_a_keys_last_state(city: City) -> None:
    async with Publisher("de.mun.110000000000.adressen", city.settings) as publisher:
        receipt = await publisher.tombstone(ADDRESSES, "a:b")
        with pytest.raises(InvalidEvent, match="wanted 1: address_id"):
            await publisher.tombstone(ADDRESSES)
    (record,) = await records(city.settings.kafka, ADDRESSES)
    assert (record.key, record.value) == (b"a%3Ab", None)
    assert ids([record]) == [receipt.id]


async def test_what_is_unknown_is_named(city: City) -> None:
    async with Publisher(SYSTEM, city.settings, versions={READINGS: 9}) as publisher:
        with pytest.raises(NotFound, match="no contract"):
            await publisher.publish("no.such-thing.v1", {})
        with pytest.raises(NotFound, match="no version 9"):
            await publisher.publish(READINGS, reading())
    with pytest.raises(InvalidSettings, match="named after its member"):
        Publisher("zaehlstellen", city.settings)


async def test_a_registry_that_is_down_does_not_stop_a_publisher_that_was_there(
    city: City,
) -> None:
    async with Publisher(SYSTEM, city.settings) as publisher:
        await publisher.publish(READINGS, reading())
    await city.registry.stop()
    async with Publisher(SYSTEM, city.settings) as publisher:
        await publisher.publish(READINGS, reading())
        with pytest.raises(BusUnavailable, match="the registry does not answer"):
            await publisher.publish(ADDRESSES, {})
    assert len(await records(city.settings.kafka, READINGS)) == 2


async def test_whatever_goes_wrong_every_caller_is_told(
    city: City, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with Publisher(SYSTEM, city.settings) as publisher:
        await publisher.publish(READINGS, reading())
        with monkeypatch.context() as broken:
            broken.setattr(publisher._producer, "append", _break)
            calls = [publisher.publish(READINGS, reading(n)) for n in range(20)]
            outcomes = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 5)
        assert [str(outcome) for outcome in outcomes] == ["never thought of"] * 20
        assert "events were not sent" in caplog.text
        await publisher.publish(READINGS, reading())
    assert len(await records(city.settings.kafka, READINGS)) == 2


async def _break(*_: object, **__: object) -> int:
    raise RuntimeError("never thought of")
