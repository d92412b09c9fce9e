"""What a partition knows of producers: the wrap of their numbers, marks, and who is forgotten."""

from pathlib import Path

import pytest
from kio.schema.errors import ErrorCode

from bus.broker.batch import HEADER, Header, check, mark, spans
from bus.broker.sequences import Producer, Written, judge
from bus.broker.stage import Append, Outcome, Stage
from bus.broker.storage.database import NAME, create
from bus.broker.storage.store import Store
from bus.broker.transactions.state import Identity, State, Transaction
from tests.engines.log import unpacked
from tests.engines.transactor import transactional

LARGEST = 2**31 - 1
DAY = 86_400_000  # milliseconds
NONE = ErrorCode.none


@pytest.mark.parametrize(
    ("first", "count", "last"),
    [
        pytest.param(LARGEST, 1, LARGEST, id="the largest number"),
        pytest.param(LARGEST, 2, 0, id="the largest number and 0"),
        pytest.param(LARGEST - 1, 5, 2, id="several on both sides"),
    ],
)
def test_numbers_go_on_from_0_within_a_batch(first: int, count: int, last: int) -> None:
    before = Producer(0, first - 1, (Written(first - 5, first - 1, 0),))
    after = judge(before, epoch=0, first=first, count=count, offset=5)
    assert isinstance(after, Producer)
    assert after.last == last
    again = Producer.from_bytes(0, after.to_bytes())
    assert again == after
    repeat = judge(again, epoch=0, first=first, count=count, offset=99)
    assert repeat == Written(first, last, 5)
    following = judge(again, epoch=0, first=(last + 1) & LARGEST, count=1, offset=99)
    assert isinstance(following, Producer)


WINDOW = (Written(0, 4, 100),)


@pytest.mark.parametrize(
    ("before", "epoch", "after", "next_"),
    [
        pytest.param(
            Producer(1, 4, WINDOW, 100), 1, Producer(1, 4, WINDOW), 5, id="its own epoch goes on"
        ),
        pytest.param(
            Producer(1, 4, WINDOW, 100), 2, Producer(2, -1), 0, id="a higher one begins anew"
        ),
        pytest.param(Producer(-1, -1), 2, Producer(2, -1), 0, id="without any batch"),
    ],
)
def test_a_mark_ends_what_was_open(
    before: Producer, epoch: int, after: Producer, next_: int
) -> None:
    assert before.marked(epoch) == after
    assert isinstance(judge(after, epoch=epoch, first=next_, count=1, offset=0), Producer)
    wrong = judge(after, epoch=epoch, first=next_ + 1, count=1, offset=0)
    assert wrong is ErrorCode.out_of_order_sequence_number
    old = judge(after, epoch=epoch - 1, first=0, count=1, offset=0)
    assert old is ErrorCode.invalid_producer_epoch


@pytest.mark.parametrize("commit", [True, False], ids=["commit", "abort"])
def test_a_mark_is_a_control_batch(commit: bool) -> None:
    made = mark(7, 3, 40, 1000, commit=commit)
    header = Header._make(HEADER.unpack_from(made))
    (record,) = unpacked(made)
    assert header.attributes == 0x30
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (7, 3, -1)
    assert (record.offset, record.timestamp, record.key, record.value) == (
        40,
        1000,
        bytes([0, 0, 0, commit]),
        bytes(6),
    )


def known(*partitions: int) -> dict[str, Transaction]:
    """Return an open transaction of producer 7, epoch 0, in these partitions."""
    state, added = State.ONGOING, frozenset(partitions)
    return {
        "t": Transaction(
            name="t", producer=7, epoch=0, timeout=1000, state=state, started=0, partitions=added
        )
    }


def append(number: int, *values: bytes, first: int = 0) -> Append:
    """Return a batch of the transaction."""
    records = transactional(*values, producer=(7, 0, first))
    header = check(records, version=9, limit=2**20)
    return Append(number, records, header, False, lambda _: None, transactional_id="t")


def test_a_round_ends_what_began_in_it() -> None:
    stage = Stage({1: 10}, {}, 1000, known(1, 2))
    assert stage.append(append(1, b"a", b"b")) == Outcome(NONE, 10)
    assert stage.append(append(1, b"c", first=2)) == Outcome(NONE, 12)
    assert stage.opened == {1: {7: 10}}
    stage.transactions.end("t", Identity(7, 0), commit=False)
    stage.close()
    assert stage.opened == {1: {7: None}}
    assert stage.aborted == [(1, 7, 10, 13, 14)]
    assert stage.ends == {1: 14, 2: 1}
    marks = [span.header.base_offset for row in stage.rows for span in spans(row.batches)][-2:]
    assert marks == [13, 0]
    assert stage.producers[1, 7] == Producer(0, 2, (Written(0, 1, 10), Written(2, 2, 12)))


def test_what_is_still_open_bounds_what_is_stable() -> None:
    began = {1: {8: 3, 9: 20}}
    stage = Stage({1: 30}, {}, 1000, known(1), began)
    stage.append(append(1, b"a"))
    stage.transactions.end("t", Identity(7, 0), commit=False)
    assert stage.aborted == [(1, 7, 30, 31, 3)]


def test_a_dropped_topic_takes_along_what_the_round_did_in_it() -> None:
    stage = Stage({1: 0, 2: 0}, {}, 1000, known(1, 2))
    stage.append(append(1, b"a"))
    stage.append(append(2, b"a"))
    stage.drop("gone", [1])
    assert (set(stage.producers), set(stage.opened)) == ({(2, 7)}, {2})
    stage.transactions.end("t", Identity(7, 0), commit=False)
    assert [one.partition for one in stage.aborted] == [2]


@pytest.mark.parametrize(
    ("opened", "past", "left"),
    [
        pytest.param(None, DAY, True, id="a day, not more"),
        pytest.param(None, DAY + 1, False, id="more than a day"),
        pytest.param(3, 10 * DAY, True, id="its transaction is open"),
    ],
)
def test_producers_that_are_idle_are_forgotten(
    tmp_path: Path, opened: int | None, past: int, left: bool
) -> None:
    create(tmp_path / NAME)
    store = Store(tmp_path / NAME)
    try:
        state = Producer(0, 4, WINDOW, opened)
        store.producers.write({(1, 7): state}, 1000)
        assert store.producers.all(1000 + past) == ({(1, 7): state} if left else {})
    finally:
        store.close()
