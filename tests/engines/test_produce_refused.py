"""Produce: batches that are not as the format says."""

import pytest
from kio.schema.errors import ErrorCode

from tests.broker.raw import Raw, batch
from tests.engine import Engine
from tests.engines.deviations import EMBEDDED, differs
from tests.engines.log import Logged, edited, packed, stored

NONE = ErrorCode.none
TWO = batch(b"one", b"two")
MAGIC_AT = 16


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


@differs("takes at most `broker.max_batch_records` in a batch, so that nobody else waits for long")
async def test_very_many_records(raw: Raw, topic: str, engine: Engine) -> None:
    """A batch may have as many records as fit into its bytes."""
    many = batch(*[b""] * 100_001, codec=1)
    await raw.made(topic)
    answer = await raw.produce(topic, many)
    embedded = engine.name == EMBEDDED
    assert answer.error_code is (ErrorCode.message_too_large if embedded else NONE)


NO_EPOCH = batch(b"x", producer=(1, -1, 0))


@pytest.mark.parametrize(
    ("records", "error", "kept"),
    [
        pytest.param(
            edited(TWO, 21, b"\0\x08"), ErrorCode.invalid_timestamp, TWO, id="append time"
        ),
        pytest.param(TWO + TWO[:20], ErrorCode.invalid_record, TWO, id="part of a second batch"),
        pytest.param(NO_EPOCH, ErrorCode.invalid_record, NO_EPOCH, id="producer, no epoch"),
    ],
)
@differs("refuses what no client sends, rather than store something else than it was sent")
async def test_odd_batches(
    raw: Raw, topic: str, engine: Engine, records: bytes, error: ErrorCode, kept: bytes
) -> None:
    """Some batches that are not quite right are taken: what is too much in them is left out."""
    await raw.made(topic)
    answer = await raw.produce(topic, records)
    fetched = (await raw.fetch(topic, 0)).records or b""
    if engine.name == EMBEDDED:
        assert answer.error_code is error
        assert fetched == b""
    else:
        assert answer.error_code is NONE
        # Before the magic there are the leader's epoch and what the log itself fills in.
        assert fetched[MAGIC_AT:] == kept[MAGIC_AT:]


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


async def test_refused_records_are_named(raw: Raw, topic: str) -> None:
    """The answer names which records of a batch are refused, and why."""
    await raw.made(topic, cleanup_policy="compact")
    keyed, bare = Logged(b"key", b"value"), Logged(None, b"value")
    refused = await raw.produce(topic, packed(keyed, bare, keyed, bare))
    assert [one.batch_index for one in refused.record_errors] == [1, 3]
    assert all(one.batch_index_error_message for one in refused.record_errors)
