"""What DeleteRecords leaves in a row is cut out of it in slices, while others write."""

from pathlib import Path

import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from bus.broker.compaction.messages import Step
from bus.broker.compaction.rewriting import since
from bus.broker.cutting import Cutting
from bus.broker.housekeeping import Housekeeping
from bus.broker.records import AT_ONCE
from bus.broker.retention import Extent
from bus.broker.stage import Row
from bus.broker.storage.database import create
from bus.broker.storage.log import SealedRow
from bus.broker.storage.store import Store

MANY = 4 * AT_ONCE
START = 1_700_000_000_000
PARTITION = 1


def batch(codec: int = 0) -> bytes:
    """Return a batch of many records whose times fall."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 2**24)
    for index in range(MANY):
        builder.append(index, START - index, None, b"%d" % index, [])
    return bytes(builder.build())


def cut(batches: bytes, offset: int) -> tuple[int, bytes]:
    """Return in how many slices it was done, and what is left."""
    row = SealedRow(0, MANY, START, 7, batches)
    cutting, slices = Cutting.of(PARTITION, offset, row), 0
    while not cutting.done:
        cutting.go_on()
        slices += 1
    return slices, cutting.step.batches if cutting.step else batches


@pytest.mark.parametrize("codec", [0, 1, 4])
@pytest.mark.parametrize("offset", [1, AT_ONCE, MANY - 1])
def test_what_lies_before_is_gone_and_all_else_is_as_it_was(codec: int, offset: int) -> None:
    _, left = cut(batch(codec), offset)
    found = DefaultRecordBatch(bytearray(left))
    assert found.validate_crc()
    assert (found.base_offset, found.last_offset_delta) == (0, MANY - 1)
    assert found.max_timestamp == START - offset
    assert [(one.offset, one.timestamp, one.value) for one in found] == [
        (index, START - index, b"%d" % index) for index in range(offset, MANY)
    ]


def test_nothing_is_left_behind_the_end_and_all_of_it_before_the_beginning() -> None:
    assert cut(batch(), MANY)[1] == b""
    assert cut(batch(), 0)[1] == batch()


def test_no_slice_goes_through_more_than_so_many_records() -> None:
    assert cut(batch(), MANY // 2)[0] >= MANY // AT_ONCE
    assert sum(1 for _ in since(batch(), 1)) >= MANY // AT_ONCE - 1


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A database with one row of many records."""
    create(tmp_path / "broker.db")
    store = Store(tmp_path / "broker.db")
    data = batch()
    store.begin()
    store.log.write([Row(PARTITION, 0, MANY, START, [data], len(data), MANY, data)])
    store.commit()
    return store


def keeping(store: Store, start: int) -> Housekeeping:
    """Return what has to cut the row."""
    made = Housekeeping(store, 0)
    made.know([(PARTITION, Extent(0, MANY, len(batch())))])
    made.begins(PARTITION, start)
    return made


def stored(store: Store, offset: int) -> SealedRow:
    row = store.log.across(PARTITION, offset)
    assert row is not None
    return row


def test_each_slice_is_a_step_of_its_own(store: Store) -> None:
    work, steps = keeping(store, 5), 0
    before = stored(store, 5)
    while stored(store, 5) == before:
        work.step(idle=True)
        steps += 1
    assert steps > MANY // AT_ONCE
    assert stored(store, 5).batches == cut(before.batches, 5)[1]


def test_a_row_that_is_another_one_by_then_is_cut_all_the_same(store: Store) -> None:
    work, before = keeping(store, 5), stored(store, 5)
    while work._trimming.cutting is None:
        work.step(idle=True)
    data = cut(before.batches, 3)[1]
    store.begin()
    other = Step(((before.base, before.seal),), MANY, START, (), data)
    assert store.log.replace(PARTITION, other) is not None
    store.commit()
    while stored(store, 5).batches != cut(before.batches, 5)[1]:
        assert work.wait() is not None
        work.step(idle=True)
