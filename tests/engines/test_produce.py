"""Produce: what is stored, what is answered, what is refused."""

import asyncio
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from bus.settings import Address
from tests.broker.raw import CODECS, DEADLINE, TIME, Raw, batch, produce_fields, request
from tests.engine import Engine
from tests.engines.deviations import EMBEDDED, differs, lacking
from tests.engines.log import Logged, edited, packed, stored, unpacked

NONE = ErrorCode.none
TWO = batch(b"one", b"two")
HOUR = 3_600_000  # milliseconds


@pytest.mark.parametrize("codec", list(CODECS))
async def test_codecs(raw: Raw, topic: str, codec: str) -> None:
    """A compressed batch is stored as it was sent, with every codec."""
    await raw.made(topic)
    sent = batch(b"some value " * 20, b"another value " * 20, codec=CODECS[codec])
    await raw.produce(topic, sent)
    fetched = await raw.fetch(topic, 0)
    assert fetched.records[16:] == sent[16:]  # all but the offset and the epoch
    assert [one.value for one in unpacked(fetched.records)] == [
        b"some value " * 20,
        b"another value " * 20,
    ]


async def test_zstd_is_as_old_as_version_7(raw: Raw, topic: str) -> None:
    """A batch compressed with zstd is refused in requests before version 7."""
    await raw.made(topic)
    zstd = batch(b"x" * 100, codec=CODECS["zstd"])
    old = await raw.produce(topic, zstd, version=6)
    new = await raw.produce(topic, zstd, version=7)
    assert [old.error_code, new.error_code] == [ErrorCode.unsupported_compression_type, NONE]


@pytest.mark.parametrize("codec", [pytest.param("gzip"), pytest.param("uncompressed")])
@lacking("batches are stored in the producer's codec, whatever compression.type says")
async def test_compression_type(raw: Raw, topic: str, codec: str) -> None:
    """The topic's compression.type goes before the producer's codec."""
    await raw.made(topic, compression_type=codec)
    await raw.produce(topic, batch(b"some value " * 20, codec=CODECS["snappy"]))
    fetched = await raw.fetch(topic, 0)
    assert fetched.records[22] & 7 == CODECS.get(codec, 0)
    assert [one.value for one in unpacked(fetched.records)] == [b"some value " * 20]


@pytest.mark.parametrize("acks", [pytest.param(1, id="1"), pytest.param(-1, id="all")])
async def test_acks(raw: Raw, topic: str, acks: int) -> None:
    """With acks 1 and all, the answer names the offset of the first record."""
    await raw.made(topic)
    answers = [await raw.produce(topic, TWO, acks=acks) for _ in range(3)]
    assert [(one.error_code, one.base_offset) for one in answers] == [
        (NONE, 0),
        (NONE, 2),
        (NONE, 4),
    ]


async def test_acks_0(raw: Raw, topic: str) -> None:
    """With acks 0 there is no answer, and the records are stored."""
    await raw.made(topic)
    raw.send(ApiKey.PRODUCE, 9, **produce_fields(topic, TWO, acks=0))
    fetched = await raw.fetch(topic, 0, max_wait=5000)
    assert [one.value for one in unpacked(fetched.records)] == [b"one", b"two"]


async def test_acks_0_and_an_error(raw: Raw, topic: str) -> None:
    """With acks 0 an error closes the connection, since there is no answer to say it in."""
    raw.send(ApiKey.PRODUCE, 9, **produce_fields(topic, TWO, acks=0))
    assert await raw.answer() == b""


@pytest.mark.parametrize("acks", [2, -2])
async def test_other_acks(raw: Raw, topic: str, acks: int) -> None:
    """Other acks than 0, 1 and all are refused."""
    await raw.made(topic)
    refused = await raw.produce(topic, TWO, acks=acks)
    assert (refused.error_code, refused.base_offset) == (ErrorCode.invalid_required_acks, -1)
    assert await stored(raw, topic) == []


async def test_more_replicas_than_there_are(raw: Raw, topic: str) -> None:
    """min.insync.replicas above the number of replicas asks for no more than there are."""
    await raw.made(topic, min_insync_replicas="2")
    assert (await raw.produce(topic, TWO, acks=-1)).error_code is NONE


@pytest.mark.parametrize("version", range(3, 12))
async def test_versions(raw: Raw, topic: str, version: int) -> None:
    """Every version from 3 to 11 is answered with offset, append time and start of the log."""
    await raw.made(topic)
    answer = await raw.produce(topic, TWO, version=version)
    assert (answer.error_code, answer.index, answer.base_offset) == (NONE, 0, 0)
    assert version < 5 or answer.log_start_offset == 0


async def test_null_and_empty(raw: Raw, topic: str) -> None:
    """Null and empty keys and values stay apart."""
    await raw.made(topic)
    sent = [
        Logged(key, value, offset=offset)
        for offset, (key, value) in enumerate(
            [(None, None), (b"", None), (None, b""), (b"", b""), (b"key", b"value")]
        )
    ]
    await raw.produce(topic, packed(*sent))
    assert await stored(raw, topic) == sent


async def test_headers(raw: Raw, topic: str) -> None:
    """Headers keep their order; names may repeat or be empty, values may be empty or null."""
    await raw.made(topic)
    headers = (("b", b"1"), ("a", b"2"), ("b", b"3"), ("", b"4"), ("empty", b""), ("null", None))
    await raw.produce(topic, packed(Logged(b"key", b"value", headers)))
    assert [one.headers for one in await stored(raw, topic)] == [headers]


async def test_create_time(raw: Raw, topic: str) -> None:
    """With CreateTime records keep the times that they were given, in whatever order."""
    await raw.made(topic, message_timestamp_type="CreateTime")
    answer = await raw.produce(topic, batch(b"a", b"b", b"c", times=(TIME, TIME + 9, TIME - 9)))
    assert answer.log_append_time is None
    assert [one.timestamp for one in await stored(raw, topic)] == [TIME, TIME + 9, TIME - 9]


@pytest.mark.parametrize("codec", list(CODECS))
async def test_append_time(raw: Raw, topic: str, codec: str) -> None:
    """With LogAppendTime all records of a batch carry the time that the answer says."""
    await raw.made(topic, message_timestamp_type="LogAppendTime")
    sent = batch(b"a" * 50, b"b" * 50, codec=CODECS[codec], times=(TIME, TIME - 9))
    answer = await raw.produce(topic, sent)
    appended = round(answer.log_append_time.timestamp() * 1000)
    assert appended > TIME
    assert [one.timestamp for one in await stored(raw, topic)] == [appended, appended]


@pytest.mark.parametrize(
    ("configs", "hours"),
    [
        pytest.param({"message_timestamp_after_max_ms": str(HOUR)}, 2, id="too far ahead"),
        pytest.param({}, 2, id="too far ahead by default"),
        pytest.param(
            {"message_timestamp_before_max_ms": str(HOUR)},
            -2,
            id="too old",
            marks=lacking("records are not refused for being old"),
        ),
    ],
)
async def test_times_off_the_clock(
    raw: Raw, topic: str, configs: Mapping[str, str], hours: int
) -> None:
    """Records whose time is too far from the clock, ahead or behind, are refused."""
    await raw.made(topic, 1, **configs)
    now = round(time.time() * 1000)
    refused = await raw.produce(topic, batch(b"a", b"b", times=(now, now + hours * HOUR)))
    assert refused.error_code is ErrorCode.invalid_timestamp
    assert await stored(raw, topic) == []


async def test_times_near_the_clock(raw: Raw, topic: str) -> None:
    """Records whose time is within an hour ahead of the clock are taken."""
    await raw.made(topic)
    now = round(time.time() * 1000)
    answer = await raw.produce(topic, batch(b"x", times=(now + HOUR // 2,)))
    assert answer.error_code is NONE


async def test_append_time_minds_no_clock(raw: Raw, topic: str) -> None:
    """With LogAppendTime it does not matter what times the records were given."""
    await raw.made(topic, message_timestamp_type="LogAppendTime")
    answer = await raw.produce(topic, batch(b"x", times=(2 * TIME,)))
    assert answer.error_code is NONE


async def test_the_largest_batch(raw: Raw, topic: str) -> None:
    """A batch may be as large as max.message.bytes, and not a byte larger."""
    fits = batch(b"x" * 1000)
    await raw.made(topic, max_message_bytes=str(len(fits)))
    assert (await raw.produce(topic, fits)).error_code is NONE
    refused = await raw.produce(topic, batch(b"x" * 1001))
    assert (refused.error_code, refused.base_offset) == (ErrorCode.message_too_large, -1)


async def test_the_largest_batch_by_default(raw: Raw, topic: str) -> None:
    """Without a limit of its own, a topic takes batches of up to 1 MiB and a record's overhead."""
    await raw.made(topic)
    near = 2**20 - 100  # so that all sizes in it are as long as those of the largest
    fits = 1_048_588 - (len(batch(b"x" * near)) - near)
    assert (await raw.produce(topic, batch(b"x" * fits))).error_code is NONE
    refused = await raw.produce(topic, batch(b"x" * (fits + 1)))
    assert refused.error_code is ErrorCode.message_too_large


async def test_large_records_that_compress_well(raw: Raw, topic: str) -> None:
    """The limit is on the batch as it is sent: a large record that compresses well is taken."""
    await raw.made(topic, max_message_bytes="2000")
    sent = batch(b"x" * 100_000, codec=CODECS["zstd"])
    assert len(sent) < 2000
    assert (await raw.produce(topic, sent)).error_code is NONE
    assert [len(one.value or b"") for one in await stored(raw, topic)] == [100_000]


async def test_too_large_a_request(raw: Raw) -> None:
    """A request above socket.request.max.bytes closes the connection, before it is read."""
    described = await raw.ask(
        ApiKey.DESCRIBE_CONFIGS,
        1,
        resources=[
            {
                "resource_type": 4,
                "resource_name": "1",
                "configuration_keys": ["socket.request.max.bytes"],
            }
        ],
        include_synonyms=False,
    )
    (limit,) = described.results[0].configs
    raw.writer.write(struct.pack(">i", int(limit.value) + 1))
    assert await raw.answer() == b""


@pytest.mark.parametrize("version", [3, 11])
@pytest.mark.parametrize(
    ("name", "partition"),
    [
        pytest.param("engines.nobody-made-this", 0, id="unknown topic"),
        pytest.param("no good", 0, id="invalid topic"),
        pytest.param("", 0, id="empty topic"),
        pytest.param(None, 1, id="unknown partition"),
        pytest.param(None, -1, id="negative partition"),
    ],
)
async def test_unknown_topics(
    raw: Raw, topic: str, name: str | None, partition: int, version: int
) -> None:
    """Topics and partitions that are not there are refused, and are not made."""
    await raw.made(topic)
    name = topic if name is None else name
    refused = await raw.produce(name, TWO, partition=partition, version=version)
    assert refused.error_code is ErrorCode.unknown_topic_or_partition
    listed = await raw.ask(ApiKey.METADATA, 1, topics=None)
    assert name == topic or name not in {one.name for one in listed.topics}


def crowded(count: int) -> bytes:
    """Return a batch that says it has more records than it has."""
    return edited(edited(TWO, 57, count.to_bytes(4, "big")), 23, (count - 1).to_bytes(4, "big"))


@pytest.mark.parametrize(
    ("records", "error"),
    [
        pytest.param(b"", ErrorCode.invalid_record, id="no batch"),
        pytest.param(TWO[:10], ErrorCode.invalid_record, id="ends before the magic"),
        pytest.param(TWO[:40], ErrorCode.invalid_record, id="ends within the header"),
        pytest.param(TWO[:-1], ErrorCode.invalid_record, id="ends within the records"),
        pytest.param(TWO + TWO, ErrorCode.invalid_record, id="two batches"),
        pytest.param(edited(TWO, 16, b"\0"), ErrorCode.invalid_record, id="magic 0"),
        pytest.param(edited(TWO, 16, b"\1"), ErrorCode.invalid_record, id="magic 1"),
        pytest.param(edited(TWO, 16, b"\3"), ErrorCode.corrupt_message, id="magic 3"),
        pytest.param(
            edited(TWO, 8, b"\0\0\0\5", seal=False), ErrorCode.corrupt_message, id="length of 5"
        ),
        pytest.param(edited(TWO, 65, b"!", seal=False), ErrorCode.corrupt_message, id="wrong CRC"),
        pytest.param(
            edited(TWO, 0, b"\0" * 7 + b"\1"), ErrorCode.invalid_record, id="base offset of 1"
        ),
        pytest.param(
            edited(TWO, 57, b"\0\0\0\3"), ErrorCode.invalid_record, id="count and last offset"
        ),
        pytest.param(edited(TWO, 57, b"\0\0\0\0"), ErrorCode.invalid_record, id="count of 0"),
        pytest.param(crowded(3), ErrorCode.invalid_record, id="one record more than there are"),
        pytest.param(crowded(2**31 - 1), ErrorCode.invalid_record, id="many more records"),
        pytest.param(edited(TWO, 21, b"\0\x20"), ErrorCode.invalid_record, id="control batch"),
        pytest.param(
            edited(TWO, 21, b"\0\x10"),
            ErrorCode.transactional_id_authorization_failed,
            id="of a transaction, without its id",
        ),
        pytest.param(
            batch(b"x", producer=(1, 0, -1)), ErrorCode.invalid_record, id="producer, no sequence"
        ),
    ],
)
async def test_bad_batches(raw: Raw, topic: str, records: bytes, error: ErrorCode) -> None:
    """A batch that is damaged, incomplete or against the format is refused."""
    await raw.made(topic)
    refused = await raw.produce(topic, records)
    assert (refused.error_code, refused.base_offset) == (error, -1)
    assert await stored(raw, topic) == []


@pytest.mark.parametrize(
    ("records", "error"),
    [
        pytest.param(
            edited(TWO, 21, b"\0\x05"), ErrorCode.unsupported_compression_type, id="unknown codec"
        ),
        pytest.param(edited(TWO, 21, b"\0\x02"), ErrorCode.invalid_record, id="not of its codec"),
    ],
)
@differs("says that the codec is unknown, or the record invalid, so that nobody tries again")
async def test_records_that_cannot_be_unpacked(
    raw: Raw, topic: str, engine: Engine, records: bytes, error: ErrorCode
) -> None:
    """Compressed records that cannot be unpacked are refused as an unexpected error."""
    await raw.made(topic)
    refused = await raw.produce(topic, records)
    assert refused.error_code is (
        error if engine.name == EMBEDDED else ErrorCode.unknown_server_error
    )
    assert await stored(raw, topic) == []


@pytest.mark.parametrize(
    ("records", "error"),
    [
        pytest.param(edited(TWO, 21, b"\0\x08"), ErrorCode.invalid_timestamp, id="append time"),
        pytest.param(TWO + TWO[:20], ErrorCode.invalid_record, id="part of a second batch"),
        pytest.param(
            batch(b"x", producer=(1, -1, 0)), ErrorCode.invalid_record, id="producer, no epoch"
        ),
    ],
)
@differs("refuses what no client sends, rather than store something else than it was sent")
async def test_odd_batches(
    raw: Raw, topic: str, engine: Engine, records: bytes, error: ErrorCode
) -> None:
    """Some batches that are not quite right are taken: what is too much in them is left out."""
    await raw.made(topic)
    answer = await raw.produce(topic, records)
    assert answer.error_code is (error if engine.name == EMBEDDED else NONE)


@lacking("the largest time of a batch is believed as it was sent")
async def test_the_largest_time_of_a_batch(raw: Raw, topic: str) -> None:
    """A batch whose header has another largest time than its records is stored with theirs."""
    await raw.made(topic)
    await raw.produce(topic, edited(TWO, 35, bytes(8)))
    fetched = await raw.fetch(topic, 0)
    assert fetched.records[35:43] == TWO[35:43]


async def test_compacted_topics_want_keys(raw: Raw, topic: str) -> None:
    """A compacted topic refuses a batch in which a record has no key."""
    await raw.made(topic, cleanup_policy="compact")
    keyed, bare = Logged(b"key", b"value"), Logged(None, b"value")
    refused = await raw.produce(topic, packed(keyed, bare))
    assert (refused.error_code, refused.base_offset) == (ErrorCode.invalid_record, -1)
    assert (await raw.produce(topic, packed(keyed, keyed))).base_offset == 0


@lacking("answers name the batch that is refused, not its records")
async def test_refused_records_are_named(raw: Raw, topic: str) -> None:
    """The answer names which records of a batch are refused, and why."""
    await raw.made(topic, cleanup_policy="compact")
    keyed, bare = Logged(b"key", b"value"), Logged(None, b"value")
    refused = await raw.produce(topic, packed(keyed, bare, keyed, bare))
    assert [one.batch_index for one in refused.record_errors] == [1, 3]
    assert all(one.batch_index_error_message for one in refused.record_errors)


async def test_one_of_several_partitions_fails(raw: Raw, topic: str) -> None:
    """Batches of one request are judged one by one: the others are stored."""
    await raw.made(topic, 3)
    other = f"{topic}.other"
    await raw.made(other)
    answer = await raw.ask(
        ApiKey.PRODUCE,
        9,
        transactional_id=None,
        acks=-1,
        timeout=1000,
        topic_data=[
            {
                "name": topic,
                "partition_data": [
                    {"index": 0, "records": batch(b"zero")},
                    {"index": 1, "records": edited(TWO, 65, b"!", seal=False)},
                    {"index": 7, "records": batch(b"seven")},
                    {"index": 2, "records": batch(b"two")},
                ],
            },
            {"name": f"{topic}.gone", "partition_data": [{"index": 0, "records": TWO}]},
            {"name": other, "partition_data": [{"index": 0, "records": TWO}]},
        ],
    )
    found = {
        (one.name, part.index): part.error_code
        for one in answer.responses
        for part in one.partition_responses
    }
    assert found == {
        (topic, 0): NONE,
        (topic, 1): ErrorCode.corrupt_message,
        (topic, 7): ErrorCode.unknown_topic_or_partition,
        (topic, 2): NONE,
        (f"{topic}.gone", 0): ErrorCode.unknown_topic_or_partition,
        (other, 0): NONE,
    }
    assert [len(await stored(raw, topic, partition=index)) for index in range(3)] == [1, 0, 1]


async def test_pipelined_requests(raw: Raw, topic: str) -> None:
    """Requests sent without waiting are answered in their order."""
    await raw.made(topic)
    for _ in range(100):
        raw.send(ApiKey.PRODUCE, 9, **produce_fields(topic, batch(b"x")))
    offsets = []
    for _ in range(100):
        answer = raw.read(ApiKey.PRODUCE, 9, await raw.answer())
        offsets.append(answer.responses[0].partition_responses[0].base_offset)
    assert offsets == list(range(100))


async def test_requests_in_pieces(raw: Raw, topic: str) -> None:
    """A request that arrives byte by byte is put together."""
    await raw.made(topic)
    for byte in request(ApiKey.PRODUCE, 9, produce_fields(topic, TWO)):
        raw.writer.write(bytes([byte]))
        await raw.writer.drain()
    answer = raw.read(ApiKey.PRODUCE, 9, await raw.answer())
    assert answer.responses[0].partition_responses[0].base_offset == 0


async def new_producer(raw: Raw, **more: Any) -> Any:
    """Ask for the id of a producer without transactions, until a broker that starts has some."""
    fields = {"transactional_id": None, "transaction_timeout": 60_000, **more}
    async with asyncio.timeout(DEADLINE):
        while True:  # each look is a request of its own
            given = await raw.ask(ApiKey.INIT_PRODUCER_ID, 4, **fields)
            if given.error_code is not ErrorCode.coordinator_load_in_progress:
                return given


async def test_producer_ids(address: Address) -> None:
    """Every producer is given an id of its own, and epoch 0."""
    async with await Raw.to(address) as one, await Raw.to(address) as other:
        given = [await new_producer(raw) for raw in (one, other, one, other)]
    assert [(one.error_code, one.producer_epoch) for one in given] == [(NONE, 0)] * 4
    assert len({one.producer_id for one in given}) == 4


async def test_producer_ids_again(raw: Raw) -> None:
    """A producer without transactions that names its id and epoch gets a new id all the same."""
    first = await new_producer(raw)
    again = await new_producer(raw, producer_id=first.producer_id, producer_epoch=0)
    assert (again.error_code, again.producer_epoch) == (NONE, 0)
    assert again.producer_id != first.producer_id


@pytest.mark.parametrize(
    ("sequences", "errors", "end"),
    [
        pytest.param([0, 1, 2], [NONE] * 3, 3, id="in order"),
        pytest.param([0, 0], [NONE, NONE], 1, id="a repeat is stored once"),
        pytest.param([0, 2], [NONE, ErrorCode.out_of_order_sequence_number], 1, id="a gap"),
        pytest.param(
            [0, 2, 1, 2],
            [NONE, ErrorCode.out_of_order_sequence_number, NONE, NONE],
            3,
            id="a gap that is filled",
        ),
        pytest.param(
            [0, 1, 2, 3, 4, 0], [NONE] * 6, 5, id="a repeat of the oldest of the last five"
        ),
        pytest.param(
            [0, 1, 2, 3, 4, 5, 0],
            [NONE] * 6 + [ErrorCode.out_of_order_sequence_number],
            6,
            id="a repeat from before the last five",
        ),
        pytest.param([2**31 - 1, 0, 1], [NONE] * 3, 3, id="after 2^31 - 1 comes 0"),
        pytest.param([7, 8], [NONE] * 2, 2, id="an unknown producer may begin anywhere"),
    ],
)
async def test_sequences(
    raw: Raw, topic: str, sequences: Sequence[int], errors: Sequence[ErrorCode], end: int
) -> None:
    """An idempotent producer's batches are stored once and without gaps."""
    await raw.made(topic)
    producer = (await new_producer(raw)).producer_id
    answers = [
        await raw.produce(topic, batch(b"x", producer=(producer, 0, sequence)))
        for sequence in sequences
    ]
    assert [answer.error_code for answer in answers] == errors
    assert (await raw.fetch(topic, end)).high_watermark == end


async def test_a_repeat_is_answered_as_the_first_time(raw: Raw, topic: str) -> None:
    """A repeated batch is answered with the offset that it got at first."""
    await raw.made(topic)
    producer = (await new_producer(raw)).producer_id
    await raw.produce(topic, TWO)
    first = await raw.produce(topic, batch(b"x", producer=(producer, 0, 0)))
    await raw.produce(topic, batch(b"y", producer=(producer, 0, 1)))
    again = await raw.produce(topic, batch(b"x", producer=(producer, 0, 0)))
    assert (first.base_offset, again.base_offset) == (2, 2)


@pytest.mark.parametrize(
    ("epoch", "sequence", "error"),
    [
        pytest.param(5, 1, NONE, id="its own"),
        pytest.param(4, 1, ErrorCode.invalid_producer_epoch, id="an old one"),
        pytest.param(6, 0, NONE, id="a new one begins at 0"),
        pytest.param(
            6, 1, ErrorCode.out_of_order_sequence_number, id="a new one that goes on counting"
        ),
    ],
)
async def test_epochs(raw: Raw, topic: str, epoch: int, sequence: int, error: ErrorCode) -> None:
    """A producer's older epochs are refused, a newer one begins to count anew."""
    await raw.made(topic)
    producer = (await new_producer(raw)).producer_id
    await raw.produce(topic, batch(b"x", producer=(producer, 5, 0)))
    answer = await raw.produce(topic, batch(b"y", producer=(producer, epoch, sequence)))
    assert answer.error_code is error


async def test_sequences_are_per_partition(raw: Raw, topic: str) -> None:
    """Each partition counts a producer's batches for itself."""
    await raw.made(topic, 2)
    producer = (await new_producer(raw)).producer_id
    answers = [
        await raw.produce(topic, batch(b"x", producer=(producer, 0, sequence)), partition=index)
        for index, sequence in ((0, 0), (1, 0), (0, 1), (1, 1))
    ]
    assert [(one.error_code, one.base_offset) for one in answers] == [
        (NONE, 0),
        (NONE, 0),
        (NONE, 1),
        (NONE, 1),
    ]
