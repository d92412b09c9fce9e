"""Records by hand: made into batches, read back out of what a fetch answers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka.record import MemoryRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from crc32c import crc32c

from bus.broker import ApiKey
from tests.broker.raw import TIME, Raw

CRC_AT, ATTRIBUTES_AT = 17, 21
"""Where the CRC lies in a batch, and what it covers begins."""


class Logged(NamedTuple):
    """A record: to be written, or as it is in the log."""

    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp: int = TIME
    offset: int = 0


def packed(*records: Logged, codec: int = 0) -> bytes:
    """Return a batch of these records."""
    made = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 2**24)
    for offset, record in enumerate(records):
        made.append(
            offset=offset,
            timestamp=record.timestamp,
            key=record.key,
            value=record.value,
            headers=list(record.headers),
        )
    return bytes(made.build())


def edited(batch: bytes, at: int, new: bytes, *, seal: bool = True) -> bytes:
    """Return a batch with bytes replaced, its CRC made good again if it shall be sealed."""
    made = bytearray(batch)
    made[at : at + len(new)] = new
    if seal:
        made[CRC_AT:ATTRIBUTES_AT] = crc32c(bytes(made[ATTRIBUTES_AT:])).to_bytes(4, "big")
    return bytes(made)


def unpacked(batches: bytes | None) -> list[Logged]:
    """Return the records in what a fetch answers; every batch must be whole and its CRC right."""
    found: list[Logged] = []
    batched = MemoryRecords(batches or b"")
    while (batch := batched.next_batch()) is not None:
        assert batch.validate_crc()
        found += [
            Logged(one.key, one.value, tuple(one.headers), one.timestamp, one.offset)
            for one in batch
        ]
    return found


async def stored(raw: Raw, topic: str, *, partition: int = 0, start: int = 0) -> list[Logged]:
    """Read a partition from an offset to its end."""
    found: list[Logged] = []
    offset = start
    while True:
        answer = await raw.fetch(topic, offset, partition=partition)
        more = [one for one in unpacked(answer.records) if one.offset >= offset]
        if not more:
            assert offset >= answer.high_watermark, answer
            return found
        found += more
        offset = more[-1].offset + 1


async def delete_before(raw: Raw, topic: str, offset: int, *, partition: int = 0) -> Any:
    """Delete the records before an offset; -1 is the end."""
    answer = await raw.ask(
        ApiKey.DELETE_RECORDS,
        2,
        topics=[{"name": topic, "partitions": [{"partition_index": partition, "offset": offset}]}],
        timeout=5000,
    )
    return answer.topics[0].partitions[0]
