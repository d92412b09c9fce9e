"""Compaction: what stays of a log, against a dictionary; and what a batch is made of afterwards."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.broker.batch import Header, mark, spans
from bus.broker.compaction import process
from bus.broker.compaction.cleaner import Cleaner, Facts, Keys, Vain
from bus.broker.compaction.dirt import Dirt, Terms
from bus.broker.compaction.messages import Done, Failed, Order, Step, answer_of, send
from bus.broker.compaction.rewriting import DELETE_HORIZON
from bus.broker.partition import gather
from bus.broker.retention import Head
from bus.broker.stage import Row
from bus.broker.storage.reader import Reader
from tests.broker.log.rows import Disk, at, held, places, row
from tests.broker.raw import CODECS
from tests.engines.log import Logged, edited, packed, unpacked

NOW = 1_000_000
KEEP = 500


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """An empty partition."""
    made = Disk(tmp_path)
    yield made
    made.close()


def headers(batches: bytes) -> list[Header]:
    """Return the header of each batch."""
    return [span.header for span in spans(batches)]


keys = st.sampled_from([None, b"", b"a", b"b", b"c", b"d"])
values = st.sampled_from([None, b"", b"value", b"another value " * 5])
records = st.builds(
    Logged,
    key=keys,
    value=values,
    headers=st.sampled_from([(), (("name", b"value"),), (("", None), ("", b""))]),
    timestamp=st.integers(0, 2 * NOW),
)
batched = st.lists(records, min_size=1, max_size=4)
rowed = st.tuples(st.lists(batched, min_size=1, max_size=3), st.sampled_from(list(CODECS.values())))


def rows_of(drawn: Sequence[tuple[list[list[Logged]], int]]) -> list[Row]:
    """Return adjacent rows."""
    made: list[Row] = []
    for batches, codec in drawn:
        made.append(row(made[-1].next if made else 0, *batches, codec=codec))
    return made


def stays(log: Sequence[Logged], end: int, *, tombstones: bool) -> list[Logged]:
    """Return what stays of a log that is compacted up to an offset."""
    last = {one.key: one.offset for one in log if one.offset < end}
    return [
        one
        for one in log
        if one.offset >= end
        or (
            one.key is not None
            and last[one.key] == one.offset
            and (tombstones or one.value is not None)
        )
    ]


@settings(deadline=None, max_examples=60)
@given(st.lists(rowed, min_size=1, max_size=8), st.data())
def test_what_stays_is_what_a_dictionary_would_hold(
    drawn: list[tuple[list[list[Logged]], int]], data: st.DataObject
) -> None:
    made = rows_of(drawn)
    ends = [0, *(one.next for one in made)]
    end = data.draw(st.sampled_from(ends))
    limit = data.draw(st.integers(1, 6), "keys at once")
    with tempfile.TemporaryDirectory() as folder:
        disk = Disk(Path(folder))
        disk.write(made)
        log = held(disk.store)
        cleaned = 0
        while cleaned < end:  # in as many rounds as it takes
            disk.compact(end, cleaned=cleaned, now=NOW, retention=KEEP, keys=limit, steps=1)
            before = cleaned
            cleaned = disk.compact(end, cleaned=cleaned, now=NOW, retention=KEEP, keys=limit)
            assert cleaned > before
        assert held(disk.store) == stays(log, end, tombstones=True)
        again = disk.compact(end, now=NOW + KEEP - 1, retention=KEEP)
        assert (again, held(disk.store)) == (end, stays(log, end, tombstones=True))
        disk.compact(end, now=NOW + KEEP, retention=KEEP)
        left = held(disk.store)
        assert left == stays(log, end, tombstones=False)
        reached = 0
        for base, next_ in places(disk.store):
            assert base == reached
            reached = next_
        assert reached == made[-1].next
        _read_everywhere(disk.path, left, reached)
        disk.close()


def _read_everywhere(path: Path, left: list[Logged], end: int) -> None:
    """Assert that from each offset one reads on with the next record that is left."""
    reader = Reader(path)
    for offset in range(end):
        after = [one for one in left if one.offset >= offset]
        assert _next(reader, offset, end) == after[:1]
    reader.close()


def _next(reader: Reader, offset: int, end: int) -> list[Logged]:
    """Return the next record as a consumer finds it, which goes on after each batch."""
    at = offset
    while found := reader.rows(1, at, end, 1):
        stored = ((one.base, one.next, one.batches) for one in found)
        read = gather(stored, at, 1, at_least_one=True).batches
        if fitting := [one for one in unpacked(read) if one.offset >= offset]:
            return fitting[:1]
        (*_, last) = spans(read)
        assert last.next_offset > at
        at = last.next_offset
        if at >= end:
            break
    return []


@pytest.mark.parametrize("codec", list(CODECS.values()), ids=list(CODECS))
def test_a_batch_keeps_all_but_its_records(codec: int) -> None:
    made = packed(
        *(Logged(b"k%d" % (n % 3), b"x" * 50, timestamp=n) for n in range(9)), codec=codec
    )
    made = at(70, edited(made, 43, (5).to_bytes(8, "big") + b"\0\1" + (90).to_bytes(4, "big")))
    known = Keys(10)
    facts = Facts(NOW, KEEP)
    known.learn(made, facts)
    (after,) = headers(Cleaner(known, facts).clean(made).batches)
    (before,) = headers(made)
    assert after.record_count == 3
    assert (after.base_offset, after.last_delta) == (70, 8)
    assert after.attributes == before.attributes == codec
    assert (after.base_timestamp, after.max_timestamp) == (0, 8)
    assert (after.producer_id, after.producer_epoch, after.base_sequence) == (5, 1, 90)


def test_what_did_not_change_is_the_same_to_the_byte() -> None:
    made = row(0, [Logged(b"a", b"1")], [Logged(b"b", b"1")], codec=1).batches
    known = Keys(10)
    known.learn(made, Facts(NOW, KEEP))
    cleaned = Cleaner(known, Facts(NOW, KEEP)).clean(made)
    assert (cleaned.batches, cleaned.changed) == (made, False)


def test_a_tombstone_says_when_it_may_go_and_keeps_its_time() -> None:
    made = row(0, [Logged(b"a", None, timestamp=77), Logged(b"b", b"x", timestamp=99)]).batches
    cleaner = Cleaner(Keys(10), Facts(NOW, KEEP))
    cleaned = cleaner.clean(made).batches
    (after,) = headers(cleaned)
    assert after.attributes & DELETE_HORIZON
    assert after.base_timestamp == NOW + KEEP
    assert [one.timestamp for one in unpacked(cleaned)] == [77, 99]
    assert not cleaner.clean(cleaned).changed


def test_the_place_of_a_producer_is_held_by_an_empty_batch() -> None:
    made = packed(Logged(b"a", b"1"))
    made = at(0, edited(made, 43, (5).to_bytes(8, "big") + b"\0\1" + (90).to_bytes(4, "big")))
    known = Keys(10)
    known.learn(made + at(1, packed(Logged(b"a", b"2"))), Facts(NOW, KEEP))
    (after,) = headers(Cleaner(known, Facts(NOW, KEEP, newest={5: 0})).clean(made).batches)
    assert (after.record_count, after.last_delta, after.base_sequence) == (0, 0, 90)
    assert Cleaner(known, Facts(NOW, KEEP)).clean(made).batches == b""


def of_transaction(offset: int, key: bytes, producer: int = 5) -> bytes:
    """Return a batch of a producer's transaction."""
    made = edited(packed(Logged(key, b"x")), 21, b"\0\x10")
    return at(offset, edited(made, 43, producer.to_bytes(8, "big") + b"\0\0" + bytes(4)))


def test_what_was_written_in_vain_goes_and_outdates_nothing() -> None:
    committed, aborted = at(0, packed(Logged(b"a", b"1"))), of_transaction(1, b"a")
    log = committed + aborted + mark(5, 0, 2, 0, commit=False) + of_transaction(3, b"b")
    facts = Facts(NOW, KEEP, vain=(Vain(5, 1, 2),))
    known = Keys(10)
    known.learn(log, facts)
    cleaned = Cleaner(known, facts).clean(log)
    assert [one.base_offset for one in headers(cleaned.batches)] == [0, 2, 3]
    assert cleaned.unmarked == ()


def test_a_mark_goes_a_round_after_what_it_ended() -> None:
    log = of_transaction(1, b"a") + mark(5, 0, 2, 0, commit=False)
    facts = Facts(NOW, KEEP, vain=(Vain(5, 1, 2),))
    first = Cleaner(Keys(10), facts).clean(log)
    assert [one.base_offset for one in headers(first.batches)] == [2]
    second = Cleaner(Keys(10), facts).clean(first.batches)
    assert (second.batches, second.unmarked) == (b"", (2,))
    young = Cleaner(Keys(10), Facts(KEEP - 1, KEEP)).clean(first.batches)
    assert not young.changed


def test_a_row_in_an_open_transaction_is_in_the_way(disk: Disk) -> None:
    disk.write(rows_of([([[Logged(b"a", b"x")]], 0)] * 4))
    disk.store._db.execute("insert into producers values (1, 5, 0, 0, x'', 2)")
    assert disk.reader.cleanable(1, 0, 4, None) == (2, -1)
    assert disk.reader.cleanable(1, 3, 4, None) == (3, -1)


def test_a_young_row_is_in_the_way(disk: Disk) -> None:
    disk.write(rows_of([([[Logged(b"a", b"x", timestamp=n)]], 0) for n in range(4)]))
    assert disk.reader.cleanable(1, 0, 4, 1) == (2, 2)
    assert disk.reader.cleanable(1, 0, 4, 3) == (4, -1)


@pytest.mark.parametrize(
    ("ratio", "done"),
    [
        pytest.param(0.0, Done(2, 102), id="whatever there is"),
        pytest.param(0.5, Done(0, 60_101), id="too little of it is old enough"),
    ],
)
def test_what_is_too_young_does_not_count(disk: Disk, ratio: float, done: Done) -> None:
    disk.write(rows_of([([[Logged(b"a", b"x", timestamp=n)]], 0) for n in range(4)]))
    order = Order(
        partition=1,
        start=0,
        cleaned=0,
        end=4,
        now=101,
        least=100,
        delete_retention=0,
        keys=9,
        clean=10**6,
        ratio=ratio,
    )
    *_, last = process.compacted(disk.reader, order)
    assert last == done


def test_rows_that_changed_meanwhile_are_left_alone(disk: Disk) -> None:
    disk.write(rows_of([([[Logged(b"a", b"x")]], 0)] * 4))
    order = Order(
        partition=1, start=0, cleaned=0, end=4, now=0, least=0, delete_retention=0, keys=9
    )
    step, done = process.compacted(disk.reader, order)
    assert isinstance(step, Step)
    assert done == Done(4, -1)
    disk.store._db.execute("delete from log where position = 1 << 40")
    before = places(disk.store)
    assert disk.put(step) is None
    assert places(disk.store) == before


def test_small_rows_become_one(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.write(rows_of([([[Logged(b"%d" % n, b"x" * 100)]], 0) for n in range(9)]))
    size = len(row(0, [Logged(b"0", b"x" * 100)]).batches)
    monkeypatch.setattr(process, "STEP_BYTES", 4 * size)
    disk.compact(9)
    assert places(disk.store) == [(0, 4), (4, 8), (8, 9)]
    assert len(held(disk.store)) == 9


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("update log set batches = zeroblob(80) where position = (1 << 40) + 1", "checksum"),
        ("update log set newest = 7 where position = (1 << 40) + 1", "checksum"),
        ("delete from log where position = (1 << 40) + 1", "not there"),
    ],
)
def test_damage_is_told(disk: Disk, statement: str, reason: str) -> None:
    disk.write(rows_of([([[Logged(b"a", b"x")]], 0)] * 4))
    disk.store._db.execute(statement)
    order = Order(
        partition=1, start=0, cleaned=0, end=4, now=0, least=0, delete_retention=0, keys=9
    )
    (failed,) = process.compacted(disk.reader, order)
    assert isinstance(failed, Failed)
    assert failed.damaged
    assert reason in failed.reason


def test_what_was_deleted_meanwhile_is_no_damage(disk: Disk) -> None:
    disk.write(rows_of([([[Logged(b"a", b"x")]], 0)] * 4))
    disk.store._db.execute("delete from log")
    disk.store.topics.begin(1, 4)
    order = Order(
        partition=1, start=0, cleaned=0, end=4, now=0, least=0, delete_retention=0, keys=9
    )
    assert list(process.compacted(disk.reader, order)) == [Done(0, -1)]


class Pipe:
    """What was written."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)

    def flush(self) -> None:
        pass


@pytest.mark.parametrize(
    "answer", [Step(((3, 77), (5, 78)), 9, -1, (4,), b"batches"), Done(9, -1), Failed("why", True)]
)
def test_answers_arrive_as_they_were_sent(answer: Step | Done | Failed) -> None:
    pipe = Pipe()
    send(pipe, answer)  # type: ignore[arg-type]  # all that it uses
    text, data = process_front(pipe.data)
    assert answer_of(text, data) == answer


def process_front(data: bytes) -> tuple[bytes, bytes]:
    """Split an answer as whoever reads it does."""
    text = int.from_bytes(data[:4], "big")
    return data[8 : 8 + text], data[8 + text :]


TERMS = Terms(
    ratio=0.5, least=0, most=10_000, delete_retention=0, segment_ms=100, segment_bytes=1000
)


@pytest.mark.parametrize(
    ("heads", "base", "closed"),
    [
        pytest.param([(0, 100), (100, 100)], 0, 0, id="within the time"),
        pytest.param([(0, 100), (101, 100)], 1, 100, id="a record that is too late"),
        pytest.param([(0, 100), (101, 100), (50, 100)], 1, 100, id="time that goes back"),
        pytest.param([(0, 600), (0, 600)], 1, 600, id="too many bytes"),
        pytest.param([(0, 5000), (0, 100)], 1, 5000, id="a row that is too large by itself"),
    ],
)
def test_where_what_is_written_to_now_begins(
    heads: list[tuple[int, int]], base: int, closed: int
) -> None:
    dirt = Dirt.since(TERMS, 0)
    for offset, (newest, size) in enumerate(heads):
        dirt.add(Head(offset, offset + 1, newest, size))
    assert (dirt.base, dirt.closed, dirt.seen) == (base, closed, len(heads))


@pytest.mark.parametrize(
    ("closed", "size", "due"),
    [
        pytest.param(0, 1000, None, id="nothing new"),
        pytest.param(501, 1100, 0, id="more than half of it is new"),
        pytest.param(500, 1100, 10_050, id="half of it: when the oldest has waited for long"),
    ],
)
def test_when_it_is_due(closed: int, size: int, due: int | None) -> None:
    dirt = Dirt.since(TERMS, 0)
    for offset, (newest, bytes_) in enumerate([(50, closed), (500, 100)]):
        if bytes_:
            dirt.add(Head(offset, offset + 1, newest, bytes_))
    assert dirt.due(size) == due


def test_what_is_not_compacted_has_no_terms() -> None:
    assert Terms.of({}) is None
    assert Terms.of({"cleanup.policy": "delete"}) is None
    assert Terms.of({"cleanup.policy": "compact,delete"}) is not None
