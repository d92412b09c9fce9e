"""Offsets: where the log begins and ends, which belong to a time, and deleting up to one."""

from typing import Any

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from tests.broker.raw import CODECS, TIME, Raw, batch
from tests.engine import Engine
from tests.engines.deviations import EMBEDDED, differs
from tests.engines.log import delete_before, stored

NONE = ErrorCode.none
LATEST, EARLIEST, NEWEST, EARLIEST_LOCAL = -1, -2, -3, -4
NOWHERE = (-1, -1)


async def listed(raw: Raw, topic: str, timestamp: int, **more: Any) -> Any:
    """Ask for the offset of a time, or of a place that a negative number stands for."""
    fields = {"partition": 0, "epoch": -1, "version": 7, "isolation": 0} | more
    part = {
        "partition_index": fields["partition"],
        "current_leader_epoch": fields["epoch"],
        "timestamp": timestamp,
    }
    answer = await raw.ask(
        ApiKey.LIST_OFFSETS,
        fields["version"],
        replica_id=-1,
        isolation_level=fields["isolation"],
        topics=[{"name": topic, "partitions": [part]}],
    )
    return answer.topics[0].partitions[0]


async def offset_at(raw: Raw, topic: str, timestamp: int) -> tuple[int, int]:
    """Return offset and timestamp of what a time stands for."""
    found = await listed(raw, topic, timestamp)
    assert found.error_code is NONE
    return found.offset, found.timestamp


@pytest.mark.parametrize("version", range(1, 9))
async def test_versions(raw: Raw, topic: str, version: int) -> None:
    """Every version from 1 to 8 says where the log begins and ends."""
    await raw.made(topic)
    await raw.produce(topic, batch(b"a", b"b"))
    found = [await listed(raw, topic, place, version=version) for place in (EARLIEST, LATEST)]
    assert [(one.error_code, one.offset, one.timestamp) for one in found] == [
        (NONE, 0, -1),
        (NONE, 2, -1),
    ]
    assert version < 4 or [one.leader_epoch for one in found] == [0, 0]


async def test_an_empty_partition(raw: Raw, topic: str) -> None:
    """An empty partition begins and ends at 0, and has no record of any time."""
    await raw.made(topic)
    asked = (EARLIEST, LATEST, NEWEST, 0, TIME)
    assert [await offset_at(raw, topic, place) for place in asked] == [
        (0, -1),
        (0, -1),
        NOWHERE,
        NOWHERE,
        NOWHERE,
    ]


@pytest.mark.parametrize("codec", list(CODECS))
async def test_by_time(raw: Raw, topic: str, codec: str) -> None:
    """The offset of a time is that of the first record then or later, also within a batch."""
    await raw.made(topic)
    values = [b"x" * 50] * 3
    await raw.produce(topic, batch(*values, codec=CODECS[codec], times=(10, 30, 20)))
    await raw.produce(topic, batch(*values, codec=CODECS[codec], times=(40, 60, 60)))
    found = {time: await offset_at(raw, topic, time) for time in (0, 11, 30, 31, 41, 60, 61)}
    assert found == {
        0: (0, 10),
        11: (1, 30),
        30: (1, 30),
        31: (3, 40),
        41: (4, 60),
        60: (4, 60),
        61: NOWHERE,
    }


async def test_by_time_where_time_goes_back(raw: Raw, topic: str) -> None:
    """Where times go back from batch to batch, the first in the order of the log is found."""
    await raw.made(topic)
    for times in ((50, 60), (10, 20), (70, 5)):
        await raw.produce(topic, batch(b"x", b"y", times=times))
    assert [await offset_at(raw, topic, time) for time in (1, 15, 55, 61)] == [
        (0, 50),
        (0, 50),
        (1, 60),
        (4, 70),
    ]


@pytest.mark.parametrize("codec", list(CODECS))
async def test_the_newest(raw: Raw, topic: str, codec: str) -> None:
    """The record with the largest time is found wherever it lies; of several, the first."""
    await raw.made(topic)
    values = [b"x" * 50] * 3
    for times in ((10, 30, 20), (40, 60, 60), (50, 60, 1)):
        await raw.produce(topic, batch(*values, codec=CODECS[codec], times=times))
    assert await offset_at(raw, topic, NEWEST) == (4, 60)


async def test_by_append_time(raw: Raw, topic: str) -> None:
    """With LogAppendTime, it is the broker's times that are searched."""
    await raw.made(topic, message_timestamp_type="LogAppendTime")
    for _ in range(5):
        await raw.produce(topic, batch(b"x", b"y", times=(10, 20)))
    log = await stored(raw, topic)
    for wanted in {one.timestamp + step for one in log for step in (-1, 0, 1)}:
        later = [(one.offset, one.timestamp) for one in log if one.timestamp >= wanted]
        assert await offset_at(raw, topic, wanted) == (later[0] if later else NOWHERE)


async def test_the_newest_by_append_time(raw: Raw, topic: str) -> None:
    """With LogAppendTime, the newest record is one of the last batch."""
    await raw.made(topic, message_timestamp_type="LogAppendTime")
    await raw.produce(topic, batch(b"x", b"y", times=(90, 20)))
    newest = max(one.timestamp for one in await stored(raw, topic))
    offset, timestamp = await offset_at(raw, topic, NEWEST)
    assert (timestamp, offset in {0, 1}) == (newest, True)


@differs("takes records without a time for as old as their arrival, and finds no newest among them")
async def test_the_newest_beside_records_without_a_time(
    raw: Raw, topic: str, engine: Engine
) -> None:
    """A record without a time is never the newest beside one that has a time."""
    await raw.made(topic)
    await raw.produce(topic, batch(b"a", times=(TIME,)))
    await raw.produce(topic, batch(b"b", times=(-1,)))
    found = await offset_at(raw, topic, NEWEST)
    assert found == (NOWHERE if engine.name == EMBEDDED else (0, TIME))


async def test_earliest_local(raw: Raw, topic: str) -> None:
    """The earliest local offset is the earliest one, where nothing is stored elsewhere."""
    await raw.made(topic)
    await raw.produce(topic, batch(b"a"))
    found = await listed(raw, topic, EARLIEST_LOCAL, version=8)
    assert (found.error_code, found.offset) == (NONE, 0)


async def test_committed_offsets(raw: Raw, topic: str) -> None:
    """Without transactions, the last committed offset is the last one."""
    await raw.made(topic)
    await raw.produce(topic, batch(b"a"))
    found = await listed(raw, topic, LATEST, isolation=1)
    assert (found.error_code, found.offset) == (NONE, 1)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        pytest.param(
            {"partition": 1}, ErrorCode.unknown_topic_or_partition, id="unknown partition"
        ),
        pytest.param({"epoch": 7}, ErrorCode.unknown_leader_epoch, id="an epoch to come"),
        pytest.param({"epoch": 0}, NONE, id="the epoch of now"),
    ],
)
async def test_errors(raw: Raw, topic: str, fields: dict[str, int], error: ErrorCode) -> None:
    """Offsets of an unknown partition, or of another epoch of its leader, are refused."""
    await raw.made(topic)
    found = await listed(raw, topic, LATEST, **fields)
    assert (found.error_code, found.offset) == (error, 0 if error is NONE else -1)


async def test_an_unknown_place(raw: Raw, topic: str) -> None:
    """Negative times that stand for nothing are refused."""
    await raw.made(topic)
    found = await listed(raw, topic, -99)
    assert found.error_code is ErrorCode.unsupported_version


async def test_unknown_topics(raw: Raw, topic: str) -> None:
    """Offsets of a topic that is not there are refused."""
    found = await listed(raw, topic, LATEST)
    assert (found.error_code, found.offset) == (ErrorCode.unknown_topic_or_partition, -1)


async def test_a_partition_named_twice(raw: Raw, topic: str) -> None:
    """A partition that is named twice in a request is refused."""
    await raw.made(topic)
    part = {"partition_index": 0, "current_leader_epoch": -1, "timestamp": LATEST}
    answer = await raw.ask(
        ApiKey.LIST_OFFSETS,
        7,
        replica_id=-1,
        isolation_level=0,
        topics=[{"name": topic, "partitions": [part, part]}],
    )
    errors = {one.error_code for one in answer.topics[0].partitions}
    assert errors == {ErrorCode.invalid_request}


@pytest.mark.parametrize(
    ("epoch", "current", "error", "found"),
    [
        pytest.param(0, -1, NONE, (0, 2), id="the epoch of now"),
        pytest.param(0, 0, NONE, (0, 2), id="the epoch of now, fenced"),
        pytest.param(5, -1, NONE, NOWHERE, id="an epoch to come"),
        pytest.param(-1, -1, NONE, NOWHERE, id="no epoch"),
        pytest.param(0, 5, ErrorCode.unknown_leader_epoch, NOWHERE, id="a leader to come"),
    ],
)
@pytest.mark.parametrize("version", [2, 3, 4])
async def test_epochs(
    raw: Raw,
    topic: str,
    version: int,
    epoch: int,
    current: int,
    error: ErrorCode,
    found: tuple[int, int],
) -> None:
    """The end of a leader's epoch is the offset after its last record."""
    await raw.made(topic)
    await raw.produce(topic, batch(b"a", b"b"))
    part = await _epoch_end(raw, topic, epoch, current, version)
    assert (part.error_code, (part.leader_epoch, part.end_offset)) == (error, found)


async def test_epochs_of_unknown_topics(raw: Raw, topic: str) -> None:
    """Epochs of a topic that is not there are refused."""
    part = await _epoch_end(raw, topic, 0, -1, 4)
    assert part.error_code is ErrorCode.unknown_topic_or_partition


async def _epoch_end(raw: Raw, topic: str, epoch: int, current: int, version: int) -> Any:
    part = {"partition": 0, "current_leader_epoch": current, "leader_epoch": epoch}
    answer = await raw.ask(
        ApiKey.OFFSET_FOR_LEADER_EPOCH,
        version,
        replica_id=-1,
        topics=[{"topic": topic, "partitions": [part]}],
    )
    return answer.topics[0].partitions[0]


async def _filled(raw: Raw, topic: str) -> None:
    """Make a topic of three batches of three records, with times 10, 20, 30 and so on."""
    await raw.made(topic)
    for first in (10, 40, 70):
        await raw.produce(topic, batch(b"a", b"b", b"c", times=(first, first + 10, first + 20)))


@pytest.mark.parametrize(
    ("offset", "start"),
    [
        pytest.param(3, 3, id="a batch"),
        pytest.param(4, 4, id="part of a batch"),
        pytest.param(9, 9, id="all"),
        pytest.param(-1, 9, id="all that there is now"),
        pytest.param(0, 0, id="nothing"),
    ],
)
async def test_delete_records(raw: Raw, topic: str, offset: int, start: int) -> None:
    """Records before an offset can be deleted: the log begins there, and ends where it ended."""
    await _filled(raw, topic)
    answer = await delete_before(raw, topic, offset)
    assert (answer.error_code, answer.low_watermark) == (NONE, start)
    ends = [await offset_at(raw, topic, place) for place in (EARLIEST, LATEST)]
    assert ends == [(start, -1), (9, -1)]
    fetched = await raw.fetch(topic, start)
    assert (fetched.error_code, fetched.log_start_offset, fetched.high_watermark) == (
        NONE,
        start,
        9,
    )
    assert [one.offset for one in await stored(raw, topic, start=start)] == list(range(start, 9))
    assert (await raw.produce(topic, batch(b"next"))).base_offset == 9


async def test_reading_before_deleted_records(raw: Raw, topic: str) -> None:
    """Reading before the first record that is left is out of range."""
    await _filled(raw, topic)
    await delete_before(raw, topic, 4)
    errors = [(await raw.fetch(topic, offset)).error_code for offset in (0, 3, 4)]
    assert errors == [ErrorCode.offset_out_of_range, ErrorCode.offset_out_of_range, NONE]


async def test_times_of_deleted_records(raw: Raw, topic: str) -> None:
    """Deleted records are not found by their time any more, also within a batch."""
    await _filled(raw, topic)
    await delete_before(raw, topic, 4)
    assert [await offset_at(raw, topic, time) for time in (0, 40, 51)] == [
        (4, 50),
        (4, 50),
        (5, 60),
    ]


async def test_deleting_again(raw: Raw, topic: str) -> None:
    """Deleting before an offset that is gone already changes nothing."""
    await _filled(raw, topic)
    await delete_before(raw, topic, 4)
    answer = await delete_before(raw, topic, 2)
    assert (answer.error_code, answer.low_watermark) == (NONE, 4)


@pytest.mark.parametrize(
    ("offset", "partition", "error"),
    [
        pytest.param(10, 0, ErrorCode.offset_out_of_range, id="beyond the end"),
        pytest.param(-2, 0, ErrorCode.offset_out_of_range, id="negative"),
        pytest.param(0, 1, ErrorCode.unknown_topic_or_partition, id="unknown partition"),
    ],
)
async def test_what_cannot_be_deleted(
    raw: Raw, topic: str, offset: int, partition: int, error: ErrorCode
) -> None:
    """Deleting beyond the end, or in an unknown partition, is refused."""
    await _filled(raw, topic)
    answer = await delete_before(raw, topic, offset, partition=partition)
    assert (answer.error_code, answer.low_watermark) == (error, -1)
    assert (await raw.fetch(topic, 0)).error_code is NONE


async def test_deleting_from_compacted_topics(raw: Raw, topic: str) -> None:
    """Records of a topic that is only compacted cannot be deleted before an offset."""
    await raw.made(topic, cleanup_policy="compact")
    answer = await delete_before(raw, topic, 0)
    assert answer.error_code is ErrorCode.policy_violation


async def test_sequences_of_deleted_records(raw: Raw, topic: str) -> None:
    """A producer goes on counting though its records were deleted."""
    await raw.made(topic)
    for sequence in range(3):
        await raw.produce(topic, batch(b"x", producer=(2**40, 0, sequence)))
    await delete_before(raw, topic, -1)
    answers = [
        await raw.produce(topic, batch(b"x", producer=(2**40, 0, sequence))) for sequence in (3, 5)
    ]
    assert [one.error_code for one in answers] == [NONE, ErrorCode.out_of_order_sequence_number]
