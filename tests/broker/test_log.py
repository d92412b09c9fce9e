"""The pure parts of the log: sequences of producers, rounds of appends, reading rows."""

from collections.abc import Sequence

import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from bus.broker.batch import HEADER, Header, check, cut, spans
from bus.broker.compression import TooLarge, unpacked
from bus.broker.partition import Partition, TailCache, gather
from bus.broker.records import LIMIT, first_since
from bus.broker.sequences import Producer, Written, advance, expecting, judge
from bus.broker.stage import ROW_BYTES, Append, Outcome, Row, Stage
from tests.broker.raw import CODECS, TIME, batch

LARGEST = 2**31 - 1
OUT_OF_ORDER = ErrorCode.out_of_order_sequence_number


@pytest.mark.parametrize(
    ("sequence", "by", "then"),
    [(0, 1, 1), (LARGEST, 1, 0), (LARGEST - 1, 3, 1), (LARGEST, 0, LARGEST)],
)
def test_sequence_numbers_go_on_from_0_after_the_largest(sequence: int, by: int, then: int) -> None:
    assert advance(sequence, by) == then


KNOWN = Producer(1, 9, (Written(0, 4, 100), Written(5, 9, 105)))


@pytest.mark.parametrize(
    ("producer", "epoch", "first", "count", "verdict"),
    [
        pytest.param(None, 0, 7, 1, Producer(0, 7, (Written(7, 7, 50),)), id="unknown: any"),
        pytest.param(
            KNOWN,
            1,
            10,
            2,
            Producer(1, 11, (*KNOWN.window, Written(10, 11, 50))),
            id="the next one",
        ),
        pytest.param(KNOWN, 1, 5, 5, Written(5, 9, 105), id="a repeat"),
        pytest.param(KNOWN, 1, 5, 4, OUT_OF_ORDER, id="part of a repeat"),
        pytest.param(KNOWN, 1, 11, 1, OUT_OF_ORDER, id="a gap"),
        pytest.param(KNOWN, 0, 10, 1, ErrorCode.invalid_producer_epoch, id="an old epoch"),
        pytest.param(KNOWN, 2, 0, 1, Producer(2, 0, (Written(0, 0, 50),)), id="a new epoch"),
        pytest.param(KNOWN, 2, 10, 1, OUT_OF_ORDER, id="a new epoch that does not begin at 0"),
        pytest.param(expecting(0, 3), 0, 3, 1, Producer(0, 3, (Written(3, 3, 50),)), id="again"),
        pytest.param(expecting(0, 3), 0, 4, 1, OUT_OF_ORDER, id="before what was refused"),
        pytest.param(expecting(0, 0), 0, 0, 1, Producer(0, 0, (Written(0, 0, 50),)), id="again: 0"),
    ],
)
def test_judging_a_batch(
    producer: Producer | None,
    epoch: int,
    first: int,
    count: int,
    verdict: Producer | Written | ErrorCode,
) -> None:
    assert judge(producer, epoch=epoch, first=first, count=count, offset=50) == verdict


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_a_window_remembers_the_last_five_and_survives_storage(counts: list[int]) -> None:
    producer: Producer | None = None
    written: list[Written] = []
    first = 0
    for count in counts:
        verdict = judge(producer, epoch=0, first=first, count=count, offset=first)
        assert isinstance(verdict, Producer)
        producer = Producer.from_bytes(0, verdict.to_bytes())
        written.append(Written(first, first + count - 1, first))
        first += count
    assert producer is not None
    assert producer.window == tuple(written[-5:])


def append(partition: int, records: bytes, *, stamped: bool = False) -> Append:
    """Return a checked batch."""
    header = check(records, version=9, limit=2**24)
    return Append(partition, records, header, stamped, lambda outcome: None)


def stage(ends: dict[int, int] | None = None) -> Stage:
    """Return a round that begins after these offsets."""
    return Stage(ends or {}, {}, 1000)


def test_adjacent_batches_of_a_partition_are_one_row() -> None:
    taken = stage({1: 10, 2: 0})
    three, one = batch(b"a", b"b", b"c"), batch(b"d")
    outcomes = [taken.append(append(*item)) for item in ((1, three), (2, one), (1, one))]
    taken.close()
    assert [outcome.offset for outcome in outcomes] == [10, 0, 13]
    assert [(row.partition, row.base, row.next) for row in taken.rows] == [(1, 10, 14), (2, 0, 1)]
    stored = list(spans(taken.rows[0].batches))
    assert [span.header.base_offset for span in stored] == [10, 13]
    assert taken.rows[0].batches[16 : stored[0].end] == three[16:]


def test_rows_stay_within_their_size() -> None:
    taken = stage()
    large = batch(b"x" * (ROW_BYTES // 3))
    for _ in range(5):
        taken.append(append(1, large))
    assert [(row.base, row.next) for row in taken.rows] == [(0, 2), (2, 4), (4, 5)]


def test_what_is_refused_changes_nothing() -> None:
    taken = stage()
    assert taken.append(append(1, batch(b"x", producer=(7, 0, 0)))).offset == 0
    assert taken.append(append(1, batch(b"y", producer=(7, 0, 5)))) == Outcome(OUT_OF_ORDER)
    assert taken.append(append(1, batch(b"x", producer=(7, 0, 0)))).offset == 0
    assert taken.ends == {1: 1}
    assert len(taken.rows) == 1


def test_an_append_time_is_in_the_batch_and_in_its_crc() -> None:
    taken = stage()
    outcome = taken.append(append(1, batch(b"x"), stamped=True))
    taken.close()
    stored = taken.rows[0].batches
    header = Header._make(HEADER.unpack_from(stored))
    assert (outcome.time, header.max_timestamp, taken.rows[0].newest) == (1000, 1000, 1000)
    assert header.attributes == 8
    assert header.crc == crc32c(stored[21:])
    assert first_since(stored, 0, 0) == (0, 1000)


def rows(sizes: Sequence[Sequence[int]]) -> list[Row]:
    """Return adjacent rows, each of batches with so many records."""
    made = []
    taken = stage()
    for batches in sizes:
        taken = Stage(dict(taken.ends), {}, 0)
        for count in batches:
            taken.append(append(1, batch(*[b"x" * 20] * count)))
        taken.close()
        made += taken.rows
    return made


@given(
    sizes=st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=4), min_size=1, max_size=4),
    limit=st.integers(1, 3000),
    cache=st.integers(0, 4000),
    data=st.data(),
)
def test_reading_on_from_anywhere_gives_every_batch_once(
    sizes: list[list[int]], limit: int, cache: int, data: st.DataObject
) -> None:
    stored = rows(sizes)
    partition, tail = Partition(1, 0, 0), TailCache(cache)
    for row in stored:
        tail.add(partition, row)
    offset = data.draw(st.integers(0, partition.end - 1))
    whole = b"".join(row.batches for row in stored)
    start, _, _ = cut(whole, offset, 0)
    found = b""
    while offset < partition.end:
        if offset >= partition.cached_from:
            read = partition.read(offset, limit, at_least_one=True)
        else:
            kept = [(r.base, r.next, r.batches) for r in stored if r.next > offset]
            read = gather(kept, offset, limit, at_least_one=True)
        first = next(spans(read.batches))
        assert len(read.batches) <= max(limit, first.end)
        found += read.batches
        offset += read.records
    assert found == whole[start:]


def test_without_room_nothing_is_read_unless_it_has_to_be() -> None:
    partition, tail = Partition(1, 0, 0), TailCache(2**20)
    tail.add(partition, rows([[1, 1]])[0])
    assert partition.read(0, 10, at_least_one=False).batches == b""
    assert partition.read(0, 10, at_least_one=True).records == 1


@pytest.mark.parametrize("codec", [name for name in CODECS if name != "none"])
def test_a_batch_that_unpacks_to_too_much_is_not_looked_into(codec: str) -> None:
    bomb = batch(b"\0" * (LIMIT + 2**20), codec=CODECS[codec])
    with pytest.raises(TooLarge):
        unpacked(bomb[HEADER.size :], CODECS[codec], LIMIT)
    assert first_since(bomb, 0, 0) == (0, TIME)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.integers(0, 40)), max_size=60),
    st.integers(0, 3000),
)
def test_what_is_dropped_from_memory_makes_room_and_nothing_else_goes(
    steps: list[tuple[int, bool, int]], limit: int
) -> None:
    partitions = [Partition(number, 0, 0) for number in range(3)]
    tail = TailCache(limit)
    dropped = [0, 0, 0]
    for number, drop, upto in steps:
        partition = partitions[number]
        if drop:
            tail.drop(partition, upto)
            dropped[number] = max(dropped[number], min(upto, partition.end))
        else:
            data = b"x" * 100
            row = Row(number, partition.end, partition.end + 3, 0, [], len(data), 3, data)
            tail.add(partition, row)
        held = [len(data) for one in partitions for data in one._rows[one._head :]]
        assert tail._size == sum(held) + 300 * len(held) <= max(limit, 0)
        assert len(tail._order) <= 2 * len(held) + 1
        for one, gone in zip(partitions, dropped, strict=True):
            assert one.cached_from == one.end or one.cached_from + 3 > gone
