"""Strictness: what is answered to requests that well-behaved clients never send."""

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from crc32c import crc32c
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey, Broker, Delay, Fault
from bus.broker.apis import APIS
from bus.broker.configs import NOT_EXECUTED_YET, TOPIC_CONFIGS
from bus.settings import Address, BrokerSettings
from bus.telemetry import Telemetry
from tests.broker.raw import (
    CODECS,
    Raw,
    batch,
    fetch_fields,
    frame,
    produce_fields,
    request,
    topic,
)

NONE = ErrorCode.none


async def test_unsupported_api_versions_are_answered_with_the_table_in_version_0(
    broker: Broker,
) -> None:
    async with await Raw.to(broker) as raw:
        raw.writer.write(frame(ApiKey.API_VERSIONS, 99, b"whatever"))
        answer = raw.read(ApiKey.API_VERSIONS, 0, await raw.answer())
    assert answer.error_code is ErrorCode.unsupported_version
    assert {api.api_key for api in answer.api_keys} == set(APIS)


@pytest.mark.parametrize("version", range(5))
async def test_every_version_of_api_versions(broker: Broker, version: int) -> None:
    more = {"client_software_name": "raw", "client_software_version": "1"}
    async with await Raw.to(broker) as raw:
        answer = await raw.ask(ApiKey.API_VERSIONS, version, **more)
    table = {api.api_key: (api.min_version, api.max_version) for api in answer.api_keys}
    assert table[ApiKey.PRODUCE] == (0, 11)
    assert table[ApiKey.FETCH] == (4, 12)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(struct.pack(">i", -1), id="negative size"),
        pytest.param(struct.pack(">i", 3) + b"abc", id="too short for a header"),
        pytest.param(struct.pack(">i", 2**30), id="larger than the limit"),
        pytest.param(frame(999, 0, b""), id="unknown API"),
        pytest.param(frame(ApiKey.METADATA, 77, b""), id="unknown version"),
        pytest.param(frame(ApiKey.PRODUCE, 2, b""), id="advertised but not served"),
        pytest.param(frame(ApiKey.METADATA, 4, b"\x7f\xff\xff\xff"), id="lengths that lie"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", id="another protocol"),
    ],
)
async def test_that_connection_is_closed_and_others_live_on(broker: Broker, sent: bytes) -> None:
    async with await Raw.to(broker) as other, await Raw.to(broker) as raw:
        raw.writer.write(sent)
        assert await raw.answer() == b""
        await other.ask(ApiKey.METADATA, 1, topics=None)


@pytest.mark.parametrize("version", range(13))
async def test_every_version_of_metadata_names_the_controller_and_unknown_topics(
    broker: Broker, version: int
) -> None:
    async with await Raw.to(broker) as raw:
        await raw.create("known", 2)
        asked = [{"name": name, "topic_id": None} for name in ("known", "unknown", "no good")]
        answer = await raw.ask(
            ApiKey.METADATA,
            version,
            topics=asked,
            allow_auto_topic_creation=True,
            include_cluster_authorized_operations=False,
            include_topic_authorized_operations=False,
        )
    assert [t.error_code for t in answer.topics] == [
        NONE,
        ErrorCode.unknown_topic_or_partition,
        ErrorCode.invalid_topic_exception,
    ]
    assert len(answer.topics[0].partitions) == 2
    assert version < 1 or answer.controller_id == answer.brokers[0].node_id


async def test_topics_are_never_made_by_using_them(broker: Broker) -> None:
    async with await Raw.to(broker) as raw:
        produced = await raw.produce("nothing", batch(b"x"))
        fetched = await raw.fetch("nothing", 0)
        listed = await raw.ask(ApiKey.METADATA, 1, topics=None)
    assert produced.error_code is ErrorCode.unknown_topic_or_partition
    assert fetched.error_code is ErrorCode.unknown_topic_or_partition
    assert listed.topics == ()


def edited(at: int, new: bytes, *, seal: bool = True) -> bytes:
    """Return a batch of two records with bytes replaced, its CRC made good again."""
    made = bytearray(batch(b"one", b"two"))
    made[at : at + len(new)] = new
    if seal:
        made[17:21] = crc32c(bytes(made[21:])).to_bytes(4, "big")
    return bytes(made)


def crowded(count: int) -> bytes:
    """Return a batch that says it has more records than it has."""
    made = bytearray(edited(57, count.to_bytes(4, "big")))
    made[23:27] = (count - 1).to_bytes(4, "big")
    made[17:21] = crc32c(bytes(made[21:])).to_bytes(4, "big")
    return bytes(made)


@pytest.mark.parametrize(
    ("records", "error"),
    [
        pytest.param(None, ErrorCode.invalid_record, id="no records"),
        pytest.param(b"", ErrorCode.invalid_record, id="no batch"),
        pytest.param(batch(b"x")[:40], ErrorCode.corrupt_message, id="ends within the header"),
        pytest.param(batch(b"x")[:-1], ErrorCode.corrupt_message, id="ends within the records"),
        pytest.param(batch(b"x") + batch(b"y"), ErrorCode.invalid_record, id="two batches"),
        pytest.param(edited(16, b"\x01"), ErrorCode.invalid_record, id="magic 1"),
        pytest.param(edited(65, b"!", seal=False), ErrorCode.corrupt_message, id="wrong CRC"),
        pytest.param(edited(0, b"\0" * 7 + b"\1"), ErrorCode.invalid_record, id="base offset"),
        pytest.param(edited(57, b"\0\0\0\3"), ErrorCode.invalid_record, id="count and last offset"),
        pytest.param(edited(57, b"\0\0\0\0"), ErrorCode.invalid_record, id="count 0"),
        pytest.param(crowded(2**31 - 1), ErrorCode.invalid_record, id="count above what fits"),
        pytest.param(edited(21, b"\0\x20"), ErrorCode.invalid_record, id="control batch"),
        pytest.param(edited(21, b"\0\x10"), ErrorCode.invalid_txn_state, id="transactional"),
        pytest.param(edited(21, b"\0\x08"), ErrorCode.invalid_timestamp, id="append time"),
        pytest.param(
            edited(21, b"\0\x07"), ErrorCode.unsupported_compression_type, id="unknown codec"
        ),
        pytest.param(
            batch(b"x", producer=(5, 0, -1)), ErrorCode.invalid_record, id="no sequence number"
        ),
        pytest.param(batch(b"x" * 2000), ErrorCode.message_too_large, id="max.message.bytes"),
    ],
)
async def test_a_batch_that_kafka_refuses(
    broker: Broker, records: bytes | None, error: ErrorCode
) -> None:
    async with await Raw.to(broker) as raw:
        await raw.create("t", max_message_bytes="1500")
        refused = await raw.produce("t", records)
        assert (refused.error_code, refused.base_offset) == (error, -1)
        assert (await raw.fetch("t", 0)).high_watermark == 0


async def test_zstd_needs_produce_version_7(broker: Broker) -> None:
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        zstd = batch(b"x" * 100, codec=CODECS["zstd"])
        assert (await raw.produce("t", zstd, version=6)).error_code is (
            ErrorCode.unsupported_compression_type
        )
        assert (await raw.produce("t", zstd, version=7)).error_code is NONE


async def test_acks_other_than_0_1_and_all_are_refused(broker: Broker) -> None:
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        refused = await raw.produce("t", batch(b"x"), acks=2)
    assert refused.error_code is ErrorCode.invalid_required_acks


async def test_without_acks_there_is_no_answer_and_a_failure_closes_the_connection(
    broker: Broker,
) -> None:
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        raw.send(ApiKey.PRODUCE, 9, **produce_fields("t", batch(b"x"), acks=0))
        answer = await raw.fetch("t", 0, max_wait=5000)
        assert answer.high_watermark == 1
        raw.send(ApiKey.PRODUCE, 9, **produce_fields("gone", batch(b"x"), acks=0))
        assert await raw.answer() == b""


async def test_pipelined_requests_are_answered_in_order(broker: Broker) -> None:
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        for _ in range(300):
            raw.send(ApiKey.PRODUCE, 9, **produce_fields("t", batch(b"x")))
        raw.send(ApiKey.FETCH, 11, **fetch_fields("t", 0))
        offsets = []
        for _ in range(300):
            answer = raw.read(ApiKey.PRODUCE, 9, await raw.answer())
            offsets.append(answer.responses[0].partition_responses[0].base_offset)
        fetched = raw.read(ApiKey.FETCH, 11, await raw.answer())
    assert offsets == list(range(300))
    assert fetched.responses[0].partitions[0].high_watermark == 300


async def test_requests_cut_anywhere_on_the_wire_are_put_together(broker: Broker) -> None:
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        sent = request(ApiKey.PRODUCE, 9, produce_fields("t", batch(b"x")))
        for byte in sent:
            raw.writer.write(bytes([byte]))
            await raw.writer.drain()
        answer = raw.read(ApiKey.PRODUCE, 9, await raw.answer())
    assert answer.responses[0].partition_responses[0].base_offset == 0


async def test_a_fetch_waits_for_its_least_bytes(broker: Broker) -> None:
    async with await Raw.to(broker) as reader, await Raw.to(broker) as writer:
        await writer.create("t")
        one = len(batch(b"x"))
        reader.send(ApiKey.FETCH, 11, **fetch_fields("t", 0, max_wait=20_000, min_bytes=2 * one))
        await writer.produce("t", batch(b"x"))
        waiting = asyncio.ensure_future(reader.answer())
        await writer.fetch("t", 0)
        assert not waiting.done()
        await writer.produce("t", batch(b"x"))
        answer = reader.read(ApiKey.FETCH, 11, await waiting)
    assert len(answer.responses[0].partitions[0].records) == 2 * one


async def test_a_fetch_that_waits_learns_that_the_topic_is_gone(broker: Broker) -> None:
    async with await Raw.to(broker) as reader, await Raw.to(broker) as writer:
        await writer.create("t")
        reader.send(ApiKey.FETCH, 11, **fetch_fields("t", 0, max_wait=20_000))
        await writer.ask(ApiKey.METADATA, 1, topics=None)
        await writer.ask(ApiKey.DELETE_TOPICS, 3, topic_names=["t"], timeout=1000)
        answer = reader.read(ApiKey.FETCH, 11, await reader.answer())
    found = answer.responses[0].partitions[0].error_code
    assert found is ErrorCode.unknown_topic_or_partition


async def test_a_fetch_from_the_middle_of_a_batch_gets_that_batch(broker: Broker) -> None:
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        for _ in range(3):
            await raw.produce("t", batch(b"a", b"b", b"c"))
        answer = await raw.fetch("t", 4)
        assert struct.unpack_from(">q", answer.records)[0] == 3
        assert len(answer.records) == 2 * len(batch(b"a", b"b", b"c"))
        first = await raw.fetch("t", 4, max_bytes=1)
        assert len(first.records) == len(batch(b"a", b"b", b"c"))


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        pytest.param({"offset": 2}, ErrorCode.offset_out_of_range, id="after the end"),
        pytest.param({"offset": -1}, ErrorCode.offset_out_of_range, id="before the start"),
        pytest.param({"offset": 0, "epoch": 7}, ErrorCode.unknown_leader_epoch, id="epoch"),
        pytest.param(
            {"offset": 0, "partition": 1}, ErrorCode.unknown_topic_or_partition, id="partition"
        ),
        pytest.param({"offset": 1}, NONE, id="the end itself"),
    ],
)
async def test_fetch_errors(broker: Broker, fields: dict[str, int], error: ErrorCode) -> None:
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        await raw.produce("t", batch(b"x"))
        assert (await raw.fetch("t", **fields)).error_code is error


async def test_fetch_sessions_are_declined(broker: Broker) -> None:
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        answer = await raw.ask(ApiKey.FETCH, 11, **fetch_fields("t", 0, session=9))
    assert answer.error_code is ErrorCode.fetch_session_id_not_found


@pytest.mark.parametrize(("kind", "stamped"), [("LogAppendTime", True), ("CreateTime", False)])
async def test_timestamps_are_the_topics_choice(broker: Broker, kind: str, stamped: bool) -> None:
    async with await Raw.to(broker) as raw:
        await raw.create("t", message_timestamp_type=kind)
        produced = await raw.produce("t", batch(b"x"))
        fetched = await raw.fetch("t", 0)
    sent_at = 1_700_000_000_000
    (newest,) = struct.unpack_from(">q", fetched.records, 35)
    assert (newest > sent_at) is stamped
    assert (produced.log_append_time is not None) is stamped
    assert crc32c(fetched.records[21:]) == int.from_bytes(fetched.records[17:21], "big")


@pytest.mark.parametrize("codec", list(CODECS))
async def test_offsets_by_time_are_exact_to_the_record(broker: Broker, codec: str) -> None:
    async def offset_at(timestamp: int) -> tuple[int, int]:
        answer = await raw.ask(
            ApiKey.LIST_OFFSETS,
            7,
            replica_id=-1,
            isolation_level=0,
            topics=[
                {
                    "name": "t",
                    "partitions": [
                        {"partition_index": 0, "current_leader_epoch": -1, "timestamp": timestamp}
                    ],
                }
            ],
        )
        part = answer.topics[0].partitions[0]
        assert part.error_code is NONE
        return part.offset, part.timestamp

    async with await Raw.to(broker) as raw:
        await raw.create("t")
        values = [b"x" * 50] * 3
        await raw.produce("t", batch(*values, codec=CODECS[codec], times=(10, 30, 20)))
        await raw.produce("t", batch(*values, codec=CODECS[codec], times=(40, 60, 60)))
        assert [await offset_at(t) for t in (0, 11, 30, 31, 41, 60, 61, -1, -2, -3)] == [
            (0, 10),
            (1, 30),
            (1, 30),
            (3, 40),
            (4, 60),
            (4, 60),
            (-1, -1),
            (6, -1),
            (0, -1),
            (4, 60),
        ]


@pytest.mark.parametrize(
    ("sequences", "errors", "end"),
    [
        pytest.param([0, 1, 2], [NONE] * 3, 3, id="in order"),
        pytest.param([0, 0], [NONE, NONE], 1, id="a repeat is stored once"),
        pytest.param([0, 2], [NONE, ErrorCode.out_of_order_sequence_number], 1, id="a gap"),
        pytest.param(
            [0, 1, 2, 3, 4, 5, 0],
            [NONE] * 6 + [ErrorCode.out_of_order_sequence_number],
            6,
            id="a repeat from before the window of five",
        ),
        pytest.param([2**31 - 1, 0], [NONE, NONE], 2, id="after 2^31 - 1 comes 0"),
    ],
)
async def test_idempotent_producers(
    broker: Broker, sequences: list[int], errors: list[ErrorCode], end: int
) -> None:
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        given = await raw.ask(
            ApiKey.INIT_PRODUCER_ID, 4, transactional_id=None, transaction_timeout=0
        )
        answers = [
            await raw.produce("t", batch(b"x", producer=(given.producer_id, 0, sequence)))
            for sequence in sequences
        ]
        assert [answer.error_code for answer in answers] == errors
        assert (await raw.fetch("t", 0)).high_watermark == end


async def test_a_repeat_is_answered_with_its_first_offset_and_an_old_epoch_is_refused(
    broker: Broker,
) -> None:
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        await raw.produce("t", batch(b"somebody else's"))
        first = await raw.produce("t", batch(b"x", producer=(9, 1, 0)))
        await raw.produce("t", batch(b"y", producer=(9, 1, 1)))
        again = await raw.produce("t", batch(b"x", producer=(9, 1, 0)))
        old = await raw.produce("t", batch(b"z", producer=(9, 0, 2)))
    assert (first.base_offset, again.base_offset) == (1, 1)
    assert old.error_code is ErrorCode.invalid_producer_epoch


async def test_transactions_are_refused_at_once(broker: Broker) -> None:
    refused = ErrorCode.transactional_id_authorization_failed
    async with await Raw.to(broker) as raw:
        found = await raw.ask(ApiKey.FIND_COORDINATOR, 2, key="me", key_type=1)
        given = await raw.ask(
            ApiKey.INIT_PRODUCER_ID, 4, transactional_id="me", transaction_timeout=0
        )
    assert (found.error_code, given.error_code) == (refused, refused)


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        pytest.param(topic("ok.-_9"), NONE, id="all legal characters"),
        pytest.param(topic("t"), ErrorCode.topic_already_exists, id="exists"),
        pytest.param(topic("a_b"), ErrorCode.invalid_topic_exception, id="collides with a.b"),
        pytest.param(topic(""), ErrorCode.invalid_topic_exception, id="empty name"),
        pytest.param(topic(".."), ErrorCode.invalid_topic_exception, id="two dots"),
        pytest.param(topic("x" * 250), ErrorCode.invalid_topic_exception, id="250 characters"),
        pytest.param(topic("straße"), ErrorCode.invalid_topic_exception, id="not ASCII"),
        pytest.param(topic("n", 0), ErrorCode.invalid_partitions, id="no partitions"),
        pytest.param(topic("n", -1), NONE, id="default number of partitions"),
        pytest.param(topic("n", 10**6), ErrorCode.policy_violation, id="a million partitions"),
        pytest.param(
            topic("n") | {"replication_factor": 3},
            ErrorCode.invalid_replication_factor,
            id="three replicas",
        ),
        pytest.param(
            topic("n", configs={"no.such": "1"}), ErrorCode.invalid_config, id="unknown config"
        ),
        pytest.param(
            topic("n", configs={"retention.ms": "soon"}),
            ErrorCode.invalid_config,
            id="value of a wrong kind",
        ),
        pytest.param(
            topic("n", configs={"retention.ms": None}),
            ErrorCode.invalid_config,
            id="null value",
        ),
        pytest.param(
            topic("n", -1)
            | {
                "replication_factor": -1,
                "assignments": [{"partition_index": 0, "broker_ids": [1, 2]}],
            },
            ErrorCode.invalid_replica_assignment,
            id="assigned to brokers that are not there",
        ),
    ],
)
async def test_making_a_topic(broker: Broker, wanted: dict[str, object], error: ErrorCode) -> None:
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        await raw.create("a.b")
        for validate_only in (True, False):
            answer = await raw.ask(
                ApiKey.CREATE_TOPICS,
                7,
                topics=[wanted],
                timeout=1000,
                validate_only=validate_only,
            )
            assert answer.topics[0].error_code is error


async def test_a_deleted_topic_comes_back_empty(broker: Broker) -> None:
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        await raw.produce("t", batch(b"x"))
        deleted = await raw.ask(ApiKey.DELETE_TOPICS, 3, topic_names=["t", "u"], timeout=1000)
        assert [one.error_code for one in deleted.responses] == [
            NONE,
            ErrorCode.unknown_topic_or_partition,
        ]
        await raw.create("t")
        assert (await raw.fetch("t", 0)).high_watermark == 0


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
    object.__setattr__(broker._settings, "max_connections", 2)
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
    assert (value("stadtbus_storage_free_bytes") or 0) > 0
    assert (value("stadtbus_commit_duration_seconds_count") or 0) >= 2


def test_what_is_not_executed_yet_is_a_config() -> None:
    assert set(TOPIC_CONFIGS) >= NOT_EXECUTED_YET


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
