"""Produce: what is stored, what is answered, what is refused."""

import struct
import time
from collections.abc import Mapping

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from tests.broker.raw import CODECS, TIME, Raw, batch, produce_fields, request
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
