"""Batches put together here, taken apart by aiokafka and by our own careful reader."""

import struct
from typing import Any

import pytest
from aiokafka.record.memory_records import MemoryRecords

from bus.kafka.pack import Batch, header, packed
from bus.kafka.unpack import unpack

NOW = 1_782_864_000_000
PLACE = ("topic", 0)

Given = tuple[bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]


def batch_of(*records: Given) -> Batch:
    return Batch(
        [packed(k, v, [header(*each) for each in headers]) for k, v, headers in records], NOW
    )


def by_aiokafka(data: bytes) -> list[Any]:
    batch = MemoryRecords(data).next_batch()
    assert batch.validate_crc()
    return list(batch)


RECORDS = [
    pytest.param([(b"key", b"value", ())], id="the least"),
    pytest.param([(None, None, ())], id="neither key nor value"),
    pytest.param([(b"", b"", (("", b""),))], id="all empty, which is not missing"),
    pytest.param([(b"k", b"v", (("ä", "ö".encode()), ("none", None)))], id="headers"),
    pytest.param([(b"k", bytes(n), ()) for n in (63, 64, 4095, 4096, 8191, 8192)], id="lengths"),
    pytest.param([(b"k", bytes(1_000_000), ())], id="the largest event"),
    pytest.param([(b"k%d" % n, b"v", ()) for n in range(5000)], id="many"),
    pytest.param([(b"k", b"v", tuple((f"h{n}", b"x") for n in range(100)))], id="many headers"),
]


@pytest.mark.parametrize("records", RECORDS)
def test_what_is_put_together_is_read_as_it_was(records: list[Given]) -> None:
    data = batch_of(*records)._build()
    ours, following = unpack(PLACE, data, 0)
    theirs = by_aiokafka(data)
    assert [(r.key, r.value, r.headers) for r in ours] == records
    assert [(r.key, r.value, tuple(r.headers)) for r in theirs] == records
    assert [r.offset for r in ours] == [r.offset for r in theirs] == [*range(len(records))]
    assert {r.timestamp_ms for r in ours} == {r.timestamp for r in theirs} == {NOW}
    assert following == len(records)


def test_headers_may_be_appended_that_were_counted_before() -> None:
    record = packed(b"k", b"v", [header("first", b"1")], further=1) + header("second", b"2")
    ((read,), _) = unpack(PLACE, Batch([record], NOW)._build(), 0)
    assert read.headers == (("first", b"1"), ("second", b"2"))


def test_the_size_is_that_of_its_bytes() -> None:
    batch = batch_of((b"k", b"v", ()), (b"k", bytes(5000), ()))
    assert batch.size() == len(batch._build())
    assert batch.record_count() == 2


def test_who_writes_is_in_the_batch_and_a_repeat_is_the_same_to_the_byte() -> None:
    batch = batch_of((b"k", b"v", ()), (b"k", b"w", ()))
    batch._set_producer_state(17, 3, 2**31 - 1)
    data = batch._build()
    assert struct.unpack_from(">qhii", data, 43) == (17, 3, 2**31 - 1, 2)
    assert by_aiokafka(data)
    assert batch._build() == data
