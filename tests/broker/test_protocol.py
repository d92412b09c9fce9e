"""Strictness: what is answered to requests that well-behaved clients never send."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from kio.schema.errors import ErrorCode

from bus.broker import ApiKey, Broker, Delay, Fault
from bus.broker.apis import APIS
from bus.broker.configs import TOPIC_CONFIGS
from bus.broker.documentation import DOCUMENTATION
from bus.settings import Address, BrokerSettings, KafkaSettings
from bus.telemetry import Telemetry
from bus.watch.surveyor import Surveyor
from tests.broker.raw import (
    Raw,
    batch,
    fetch_fields,
    produce_fields,
)

NONE = ErrorCode.none


async def test_the_table_of_apis_is_all_that_is_served(broker: Broker) -> None:
    async with await Raw.to(broker) as raw:
        answer = await raw.ask(ApiKey.API_VERSIONS, 0)
    table = {api.api_key: (api.min_version, api.max_version) for api in answer.api_keys}
    assert set(table) == set(APIS)
    # Above 11 and 12 a client would use the transactions' second version, and topic ids.
    assert (table[ApiKey.PRODUCE], table[ApiKey.FETCH]) == ((0, 11), (4, 12))


async def test_a_batch_that_is_not_there_is_refused(broker: Broker) -> None:
    # Apache Kafka does not answer at all, so the suite of both engines cannot try it.
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        refused = await raw.produce("t", None)
    assert (refused.error_code, refused.base_offset) == (ErrorCode.invalid_record, -1)


async def test_a_lost_answer_is_not_a_lost_batch(broker: Broker) -> None:
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        broker.faults.arrange(ApiKey.PRODUCE, Fault.DROP_CONNECTION_AFTER_COMMIT)
        raw.send(ApiKey.PRODUCE, 9, **produce_fields("t", batch(b"x")))
        assert await raw.answer() == b""
    async with await Raw.to(broker) as raw:
        broker.faults.arrange(ApiKey.PRODUCE, Fault.DROP_CONNECTION_BEFORE)
        raw.send(ApiKey.PRODUCE, 9, **produce_fields("t", batch(b"x")))
        assert await raw.answer() == b""
    async with await Raw.to(broker) as raw:
        assert (await raw.fetch("t", 0)).high_watermark == 1


async def test_a_request_that_is_held_up_holds_up_only_its_own_connection(broker: Broker) -> None:
    until = asyncio.Event()
    async with await Raw.to(broker) as raw, await Raw.to(broker) as other:
        await raw.create("t")
        broker.faults.arrange(ApiKey.PRODUCE, Delay(until))
        raw.send(ApiKey.PRODUCE, 9, **produce_fields("t", batch(b"x")))
        raw.send(ApiKey.METADATA, 1, topics=None)
        while broker.faults.take(ApiKey.PRODUCE):
            broker.faults.arrange(ApiKey.PRODUCE, Delay(until))
            await other.ask(ApiKey.METADATA, 1, topics=None)
        assert (await other.fetch("t", 0)).high_watermark == 0
        until.set()
        produced = raw.read(ApiKey.PRODUCE, 9, await raw.answer())
        assert produced.responses[0].partition_responses[0].base_offset == 0
        raw.read(ApiKey.METADATA, 1, await raw.answer())


async def test_above_the_most_connections_new_ones_are_closed(broker: Broker) -> None:
    broker._room = 4  # of which one address gets half, as settings have it
    async with await Raw.to(broker) as first, await Raw.to(broker) as second:
        await first.ask(ApiKey.METADATA, 1, topics=None)
        await second.ask(ApiKey.METADATA, 1, topics=None)
        async with await Raw.to(broker) as third:
            assert await third.answer() == b""
        await first.ask(ApiKey.METADATA, 1, topics=None)


async def test_topics_changed_by_many_at_once(broker: Broker) -> None:
    async def change(number: int) -> list[ErrorCode]:
        async with await Raw.to(broker) as raw:
            made = await raw.create("t")
            more = await raw.ask(
                ApiKey.CREATE_PARTITIONS,
                1,
                topics=[{"name": "t", "count": 2 + number % 2, "assignments": None}],
                timeout=1000,
                validate_only=False,
            )
            gone = await raw.ask(ApiKey.DELETE_TOPICS, 3, topic_names=["t"], timeout=1000)
            return [made.error_code, more.results[0].error_code, gone.responses[0].error_code]

    found = await asyncio.gather(*[change(number) for number in range(20)])
    assert NONE in {errors[0] for errors in found}
    assert not broker.failed.is_set()
    async with await Raw.to(broker) as raw:
        await raw.ask(ApiKey.DELETE_TOPICS, 3, topic_names=["t"], timeout=1000)
        assert (await raw.create("t")).error_code is NONE


async def test_clients_are_told_the_advertised_address(tmp_path: Path) -> None:
    settings = BrokerSettings(
        listen=Address(host="127.0.0.1", port=0), advertise=Address(host="bus.example", port=1234)
    )
    async with Broker(settings, tmp_path, Telemetry()) as broker, await Raw.to(broker) as raw:
        node = (await raw.ask(ApiKey.METADATA, 1, topics=None)).brokers[0]
        found = await raw.ask(ApiKey.FIND_COORDINATOR, 1, key_type=0, key="g")
    assert (node.host, node.port) == (found.host, found.port) == ("bus.example", 1234)


async def test_requests_are_counted_with_bounded_labels(
    broker: Broker, telemetry: Telemetry
) -> None:
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        await raw.produce("t", batch(b"x", b"y", producer=(7, 0, 0)))
        await raw.produce("t", batch(b"x", b"y", producer=(7, 0, 0)))
        await raw.produce("nothing", batch(b"x"))
        await raw.fetch("t", 1)
    value = telemetry.registry.get_sample_value
    assert value("stadtbus_produced_records_total", {"topic": "t"}) == 2
    assert value("stadtbus_fetched_records_total", {"topic": "t"}) == 1
    assert value("stadtbus_produced_records_total", {"topic": "nothing"}) is None
    counts = [
        value("stadtbus_requests_total", {"api": "produce", "outcome": outcome})
        for outcome in ("ok", "error")
    ]
    assert counts == [2, 1]
    free = value("stadtbus_storage_free_bytes") or 0
    assert 0 < free < (value("stadtbus_storage_disk_bytes") or 0)
    assert (value("stadtbus_commit_duration_seconds_count") or 0) >= 2


async def test_a_topic_that_is_deleted_takes_its_series_along(
    broker: Broker, telemetry: Telemetry
) -> None:
    async with await Raw.to(broker) as raw:
        for name in ("stays", "goes"):
            await raw.create(name)
            await raw.produce(name, batch(b"x"))
            await raw.fetch(name, 0)
        await raw.ask(ApiKey.DELETE_TOPICS, 3, topic_names=["goes"], timeout=1000)
    topics = [
        sample.labels["topic"]
        for metric in telemetry.registry.collect()
        for sample in metric.samples
        if "topic" in sample.labels
    ]
    assert sorted(topics) == ["stays"] * 4


async def test_requests_by_which_the_bus_looks_at_itself_are_counted_apart(
    broker: Broker, telemetry: Telemetry
) -> None:
    kafka = KafkaSettings(bootstrap=str(broker.address))
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        await raw.produce("t", batch(b"x"))

    def counted(name: str) -> dict[tuple[str, ...], float]:
        return {
            tuple(sample.labels.values()): sample.value
            for metric in telemetry.registry.collect()
            for sample in metric.samples
            if sample.name == f"stadtbus_{name}"
        }

    before = counted("requests_total"), counted("request_duration_seconds_count")
    async with Surveyor(kafka) as surveyor:
        assert (await surveyor.survey()).topics["t"].newest is not None, "it has read a record"
    assert (counted("requests_total"), counted("request_duration_seconds_count")) == before
    assert counted("own_requests_total")["fetch", "ok"] >= 1
    assert counted("fetched_records_total") == counted("fetched_bytes_total") == {}


def test_every_config_says_what_it_does() -> None:
    assert set(DOCUMENTATION) == set(TOPIC_CONFIGS)


def test_records_are_kept_for_a_week_by_default() -> None:
    assert TOPIC_CONFIGS["retention.ms"].default == "604800000"  # as Apache Kafka has it


async def test_stopping_answers_what_was_taken_and_waits_for_nobody_else(tmp_path: Path) -> None:
    settings = BrokerSettings(listen=Address(host="127.0.0.1", port=0))
    broker = Broker(settings, tmp_path, Telemetry())
    await broker.start()
    async with await Raw.to(broker) as waiting, await Raw.to(broker) as raw:
        await raw.create("t")
        waiting.send(ApiKey.FETCH, 11, **fetch_fields("t", 5, max_wait=60_000))
        waiting.send(ApiKey.FETCH, 11, **fetch_fields("t", 0, max_wait=60_000, min_bytes=2**20))
        for _ in range(50):
            raw.send(ApiKey.PRODUCE, 9, **produce_fields("t", batch(b"x")))
        assert await raw.answer()
        async with asyncio.timeout(2):
            await broker.stop()
        answered = 1 + len([answer async for answer in _answers(raw)])
    async with Broker(settings, tmp_path, Telemetry()) as again, await Raw.to(again) as raw:
        assert (await raw.fetch("t", 0)).high_watermark == answered


async def _answers(raw: Raw) -> AsyncIterator[bytes]:
    """Yield what is still answered until the connection is closed."""
    while answer := await raw.answer():
        yield answer
