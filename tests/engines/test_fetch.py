"""Fetch: what is read, how much at once, and how long it waits."""

import asyncio
import struct
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from bus.settings import Address
from tests.broker.raw import CODECS, DEADLINE, Raw, batch, fetch_fields
from tests.engine import Engine
from tests.engines.deviations import EMBEDDED, differs
from tests.engines.log import stored, unpacked

NONE = ErrorCode.none
THREE = batch(b"a", b"b", b"c")
BIG = batch(b"x" * 10_000)
PATIENCE = 60_000
"""Milliseconds: longer than a test that goes well waits for anything."""


def several(*wanted: tuple[str, int, int], **more: Any) -> dict[str, Any]:
    """Return a Fetch request for several partitions: topic, partition and offset."""
    fields = [fetch_fields(name, offset, partition=part, **more) for name, part, offset in wanted]
    topics = [one["topics"][0] for one in fields]
    return {**fields[0], "topics": topics}


def sizes(answer: Any) -> list[tuple[int, int]]:
    """Return partition and number of bytes of each part of an answer that has any."""
    return [
        (part.partition_index, len(part.records))
        for topic in answer.responses
        for part in topic.partitions
        if part.records
    ]


@pytest.mark.parametrize("version", range(4, 13))
async def test_versions(raw: Raw, topic: str, version: int) -> None:
    """Every version from 4 to 12 reads the log, and says where it begins and ends."""
    await raw.made(topic)
    await raw.produce(topic, THREE)
    answer = await raw.ask(ApiKey.FETCH, version, **fetch_fields(topic, 0))
    part = answer.responses[0].partitions[0]
    assert (part.error_code, part.high_watermark, part.last_stable_offset) == (NONE, 3, 3)
    assert version < 5 or part.log_start_offset == 0
    assert [one.value for one in unpacked(part.records)] == [b"a", b"b", b"c"]


async def test_from_the_beginning(raw: Raw, topic: str) -> None:
    """From the beginning: all batches, in the order in which they were written."""
    await raw.made(topic)
    for number in range(20):
        await raw.produce(topic, batch(b"%d" % number, codec=number % len(CODECS)))
    found = await stored(raw, topic)
    assert [(one.offset, one.value) for one in found] == [(n, b"%d" % n) for n in range(20)]


@pytest.mark.parametrize("codec", list(CODECS))
async def test_from_the_middle_of_a_batch(raw: Raw, topic: str, codec: str) -> None:
    """From the middle of a batch: that whole batch, and what follows."""
    await raw.made(topic)
    for _ in range(3):
        await raw.produce(topic, batch(b"a" * 50, b"b" * 50, b"c" * 50, codec=CODECS[codec]))
    answer = await raw.fetch(topic, 4)
    assert [one.offset for one in unpacked(answer.records)] == [3, 4, 5, 6, 7, 8]


async def test_from_the_end(raw: Raw, topic: str) -> None:
    """From the end: nothing, and no error."""
    await raw.made(topic)
    await raw.produce(topic, THREE)
    answer = await raw.fetch(topic, 3)
    assert (answer.error_code, answer.high_watermark, answer.records or b"") == (NONE, 3, b"")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        pytest.param({"offset": 4}, ErrorCode.offset_out_of_range, id="after the end"),
        pytest.param({"offset": -1}, ErrorCode.offset_out_of_range, id="before the beginning"),
        pytest.param(
            {"offset": 0, "epoch": 7}, ErrorCode.unknown_leader_epoch, id="an epoch to come"
        ),
        pytest.param({"offset": 0, "epoch": 0}, NONE, id="the epoch of now"),
        pytest.param(
            {"offset": 0, "partition": 1},
            ErrorCode.unknown_topic_or_partition,
            id="unknown partition",
        ),
        pytest.param(
            {"offset": 0, "partition": -1},
            ErrorCode.unknown_topic_or_partition,
            id="negative partition",
        ),
    ],
)
async def test_errors(raw: Raw, topic: str, fields: dict[str, int], error: ErrorCode) -> None:
    """What cannot be read is said at once, however long the fetch could have waited."""
    await raw.made(topic)
    await raw.produce(topic, THREE)
    answer = await raw.fetch(topic, max_wait=PATIENCE, min_bytes=1, **fields)
    assert answer.error_code is error
    if error is not NONE:
        assert (answer.high_watermark, answer.records or b"") == (-1, b"")


@pytest.mark.parametrize("name", ["engines.nobody-made-this", "no good", ""])
async def test_unknown_topics(raw: Raw, name: str) -> None:
    """Topics that are not there are refused, and are not made."""
    answer = await raw.fetch(name, 0, max_wait=PATIENCE)
    assert answer.error_code is ErrorCode.unknown_topic_or_partition
    listed = await raw.ask(ApiKey.METADATA, 1, topics=None)
    assert name not in {one.name for one in listed.topics}


async def test_one_of_several_partitions_fails(raw: Raw, topic: str) -> None:
    """A partition that cannot be read keeps nobody from reading the others."""
    await raw.made(topic, 2)
    await raw.produce(topic, THREE, partition=1)
    wanted = several((topic, 0, 9), (topic, 1, 0), (f"{topic}.gone", 0, 0))
    answer = await raw.ask(ApiKey.FETCH, 11, **wanted)
    found = {
        (one.topic, part.partition_index): (part.error_code, len(unpacked(part.records)))
        for one in answer.responses
        for part in one.partitions
    }
    assert found == {
        (topic, 0): (ErrorCode.offset_out_of_range, 0),
        (topic, 1): (NONE, 3),
        (f"{topic}.gone", 0): (ErrorCode.unknown_topic_or_partition, 0),
    }


async def test_nothing_is_wanted(raw: Raw) -> None:
    """A fetch of no partitions is answered at once."""
    wanted = fetch_fields("t", 0, max_wait=PATIENCE) | {"topics": []}
    answer = await raw.ask(ApiKey.FETCH, 11, **wanted)
    assert (answer.error_code, answer.responses) == (NONE, ())


@pytest.mark.parametrize("limit", [0, 1, 9_999])
async def test_a_batch_above_the_limit(raw: Raw, topic: str, limit: int) -> None:
    """The first batch is read whole even if it alone is above max bytes."""
    await raw.made(topic)
    for _ in range(2):
        await raw.produce(topic, BIG)
    answer = await raw.fetch(topic, 0, max_bytes=limit)
    assert answer.records == edited_offset(BIG, 0)


def edited_offset(sent: bytes, offset: int) -> bytes:
    """Return a batch as it is stored at an offset, in epoch 0."""
    return struct.pack(">q", offset) + sent[8:12] + bytes(4) + sent[16:]


async def test_max_bytes(raw: Raw, topic: str) -> None:
    """No more is read than max bytes; a batch that does not fit may come in part, or not at all."""
    await raw.made(topic)
    for _ in range(5):
        await raw.produce(topic, BIG)
    limit = len(BIG) * 5 // 2
    answer = await raw.fetch(topic, 0, max_bytes=limit)
    assert len(answer.records) <= limit
    assert [one.offset for one in unpacked(answer.records)] == [0, 1]


async def test_max_bytes_of_all_partitions(raw: Raw, topic: str) -> None:
    """Max bytes bounds all partitions together, and only the first is allowed to be above it."""
    await raw.made(topic, 3)
    for index in range(3):
        await raw.produce(topic, BIG, partition=index)
    wanted = several(*((topic, index, 0) for index in (2, 0, 1)))
    wanted["max_bytes"] = 1
    answer = await raw.ask(ApiKey.FETCH, 11, **wanted)
    assert sizes(answer) == [(2, len(BIG))]


async def test_max_bytes_of_each_partition(raw: Raw, topic: str) -> None:
    """Each partition's own max bytes bounds what is read of it, but for the first batch of all."""
    await raw.made(topic, 3)
    for index in range(3):
        for _ in range(3):
            await raw.produce(topic, BIG, partition=index)
    wanted = several(*((topic, index, 0) for index in range(3)), max_bytes=len(BIG))
    wanted["max_bytes"] = 2**20
    wanted["topics"][1]["partitions"][0]["partition_max_bytes"] = 1
    answer = await raw.ask(ApiKey.FETCH, 11, **wanted)
    found = {
        part.partition_index: len(unpacked(part.records))
        for one in answer.responses
        for part in one.partitions
    }
    assert found == {0: 1, 1: 0, 2: 1}


async def test_fairness(raw: Raw, topic: str) -> None:
    """Under a small max bytes, whichever partition is named first has its turn."""
    await raw.made(topic, 4)
    for index in range(4):
        for _ in range(2):
            await raw.produce(topic, BIG, partition=index)
    positions = dict.fromkeys(range(4), 0)
    order = list(positions)
    turns = []
    for _ in range(8):
        wanted = several(*((topic, index, positions[index]) for index in order))
        answer = await raw.ask(ApiKey.FETCH, 11, **wanted | {"max_bytes": 1})
        ((index, _),) = sizes(answer)
        positions[index] += 1
        turns.append(index)
        order = [other for other in order if other != index] + [index]
    assert turns == [0, 1, 2, 3, 0, 1, 2, 3]


@pytest.mark.parametrize("first", [0, 1, 2], ids=["first", "second", "third"])
async def test_a_partition_without_news_comes_first(raw: Raw, topic: str, first: int) -> None:
    """Partitions that have nothing to read do not use up the turn of the others."""
    await raw.made(topic, 3)
    await raw.produce(topic, BIG, partition=2)
    order = [(first + step) % 3 for step in range(3)]
    wanted = several(*((topic, index, 0) for index in order), max_bytes=1)
    assert sizes(await raw.ask(ApiKey.FETCH, 11, **wanted)) == [(2, len(BIG))]


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"isolation_level": 7}, id="an isolation level that there is not"),
        pytest.param({"partition_max_bytes": -1}, id="less than no bytes of a partition"),
    ],
)
@differs("answers what no client asks as the nearest that makes sense: the first batch")
async def test_odd_fetches(raw: Raw, topic: str, engine: Engine, odd: dict[str, int]) -> None:
    """A number that means nothing is an unexpected error."""
    await raw.made(topic)
    await raw.produce(topic, BIG)
    fields = fetch_fields(topic, 0)
    fields |= {name: odd[name] for name in fields if name in odd}
    part = fields["topics"][0]["partitions"][0]
    part |= {name: odd[name] for name in part if name in odd}
    answer = await raw.ask(ApiKey.FETCH, 11, **fields)
    if engine.name == EMBEDDED:
        assert sizes(answer) == [(0, len(BIG))]
    else:
        errors = {
            answer.error_code,
            *(p.error_code for t in answer.responses for p in t.partitions),
        }
        assert ErrorCode.unknown_server_error in errors


@differs("offers no fetch sessions, so clients name all their partitions each time")
async def test_sessions(raw: Raw, topic: str, engine: Engine) -> None:
    """In a fetch session, only partitions with news are answered, in turns under a small limit."""
    await raw.made(topic, 3)
    for index in range(2):
        await raw.produce(topic, BIG, partition=index)
    begin = several(*((topic, index, 0) for index in range(3))) | {"session_epoch": 0}
    answer = await raw.ask(ApiKey.FETCH, 11, **begin)
    if engine.name == EMBEDDED:
        assert answer.session_id == 0
        return
    assert answer.session_id > 0
    turns = []
    for epoch in (1, 2):
        more = begin | {"session_id": answer.session_id, "session_epoch": epoch, "max_bytes": 1}
        answer = await raw.ask(ApiKey.FETCH, 11, **more | {"topics": []})
        turns += [index for index, _ in sizes(answer)]
    assert sorted(turns) == [0, 1]


async def test_unknown_sessions(raw: Raw, topic: str) -> None:
    """A fetch session that nobody knows is refused."""
    await raw.made(topic)
    answer = await raw.ask(ApiKey.FETCH, 11, **fetch_fields(topic, 0, session=7))
    assert answer.error_code is ErrorCode.fetch_session_id_not_found


@differs("knows topics by name alone in Fetch and Produce, and offers their versions up to that")
async def test_topic_ids(raw: Raw, topic: str, engine: Engine) -> None:
    """From version 13 on, Fetch and Produce name topics by their ids."""
    await raw.made(topic)
    await raw.produce(topic, THREE)
    offered = await raw.ask(ApiKey.API_VERSIONS, 0)
    highest = {api.api_key: api.max_version for api in offered.api_keys}
    if engine.name == EMBEDDED:
        assert (highest[ApiKey.FETCH], highest[ApiKey.PRODUCE]) == (12, 11)
        return
    listed = await raw.ask(
        ApiKey.METADATA,
        12,
        topics=[{"name": topic, "topic_id": None}],
        allow_auto_topic_creation=False,
        include_topic_authorized_operations=False,
    )
    number = listed.topics[0].topic_id
    wanted = fetch_fields(topic, 0)
    wanted["topics"][0]["topic_id"] = number
    answer = await raw.ask(ApiKey.FETCH, 13, **wanted)
    assert (answer.responses[0].topic_id, values(answer)) == (number, [b"a", b"b", b"c"])


async def test_min_bytes(address: Address, topic: str) -> None:
    """A fetch waits until there are min bytes, also across partitions."""
    async with await Raw.to(address) as reader, await Raw.to(address) as writer:
        await writer.made(topic, 2)
        wanted = several((topic, 0, 0), (topic, 1, 0), max_wait=PATIENCE)
        reader.send(ApiKey.FETCH, 11, **wanted | {"min_bytes": 2 * len(THREE)})
        await writer.produce(topic, THREE, partition=0)
        waiting = asyncio.ensure_future(reader.answer())
        assert len(await stored(writer, topic, partition=0)) == 3
        assert not waiting.done()
        await writer.produce(topic, THREE, partition=1)
        answer = reader.read(ApiKey.FETCH, 11, await waiting)
    assert sizes(answer) == [(0, len(THREE)), (1, len(THREE))]


@pytest.mark.parametrize("start", [0, 3], ids=["less than there should be", "nothing"])
async def test_max_wait(raw: Raw, topic: str, start: int) -> None:
    """After max wait a fetch is answered with what there is, and not long before."""
    await raw.made(topic)
    await raw.produce(topic, THREE)
    began = time.monotonic()
    answer = await raw.fetch(topic, start, min_bytes=2**20, max_wait=300)
    assert time.monotonic() - began > 0.25
    assert len(unpacked(answer.records)) == 3 - start


async def test_min_bytes_above_max_bytes(raw: Raw, topic: str) -> None:
    """Min bytes above max bytes waits for no more than can be read at once."""
    await raw.made(topic)
    await raw.produce(topic, THREE)
    answer = await raw.fetch(topic, 0, min_bytes=2**30, max_bytes=10, max_wait=PATIENCE)
    assert len(unpacked(answer.records)) == 3


async def test_a_waiting_fetch_holds_up_nobody_else(address: Address, topic: str) -> None:
    """While a fetch waits, other connections are served."""
    async with await Raw.to(address) as reader, await Raw.to(address) as other:
        await other.made(topic)
        reader.send(ApiKey.FETCH, 11, **fetch_fields(topic, 0, max_wait=PATIENCE))
        assert (await other.fetch(topic, 0)).error_code is NONE


async def test_requests_behind_a_waiting_fetch(raw: Raw, topic: str) -> None:
    """Requests sent behind a fetch that waits are answered after it, in order."""
    await raw.made(topic)
    raw.send(ApiKey.FETCH, 11, **fetch_fields(topic, 0, max_wait=200))
    raw.send(ApiKey.METADATA, 1, topics=[{"name": topic}])
    fetched = raw.read(ApiKey.FETCH, 11, await raw.answer())
    listed = raw.read(ApiKey.METADATA, 1, await raw.answer())
    assert fetched.responses[0].partitions[0].error_code is NONE
    assert [one.name for one in listed.topics] == [topic]


async def gone(raw: Raw, topic: str) -> None:
    """Delete a topic and return once nobody can write to it any more."""
    await raw.ask(ApiKey.DELETE_TOPICS, 3, topic_names=[topic], timeout=1000)
    async with asyncio.timeout(DEADLINE):
        while True:  # each look is a request of its own
            error = (await raw.produce(topic, THREE)).error_code
            if error is ErrorCode.unknown_topic_or_partition:
                return


async def test_a_topic_deleted_while_a_fetch_waits(address: Address, topic: str) -> None:
    """A fetch that waits is told at once that its topic was deleted."""
    async with await Raw.to(address) as reader, await Raw.to(address) as other:
        await other.made(topic)
        reader.send(ApiKey.FETCH, 11, **fetch_fields(topic, 0, max_wait=PATIENCE))
        await other.fetch(topic, 0)
        await gone(other, topic)
        answer = reader.read(ApiKey.FETCH, 11, await reader.answer())
    error = answer.responses[0].partitions[0].error_code
    assert error in {ErrorCode.unknown_topic_or_partition, ErrorCode.not_leader_or_follower}


async def test_a_topic_made_again(raw: Raw, topic: str) -> None:
    """A topic that was deleted and made again is empty, and positions in the old one are gone."""
    await raw.made(topic)
    await raw.produce(topic, THREE)
    await gone(raw, topic)
    assert (await raw.fetch(topic, 0)).error_code is ErrorCode.unknown_topic_or_partition
    await raw.made(topic)
    answers = [await raw.fetch(topic, offset) for offset in (0, 3)]
    assert [(one.error_code, one.high_watermark) for one in answers] == [
        (NONE, 0),
        (ErrorCode.offset_out_of_range, -1),
    ]
    assert (await raw.produce(topic, THREE)).base_offset == 0


def values(answer: Any) -> Sequence[bytes | None]:
    """Return the values in an answer for one partition."""
    return [one.value for one in unpacked(answer.responses[0].partitions[0].records)]


async def test_readers_do_not_disturb_each_other(address: Address, topic: str) -> None:
    """Many readers that wait for the same record all get it."""
    async with AsyncExitStack() as connections:
        writer, *readers = [
            await connections.enter_async_context(await Raw.to(address)) for _ in range(11)
        ]
        await writer.made(topic)
        for reader in readers:
            reader.send(ApiKey.FETCH, 11, **fetch_fields(topic, 0, max_wait=PATIENCE))
        await writer.produce(topic, THREE)
        for reader in readers:
            answer = reader.read(ApiKey.FETCH, 11, await reader.answer())
            assert values(answer) == [b"a", b"b", b"c"]
