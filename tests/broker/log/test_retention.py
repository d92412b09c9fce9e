"""Retention: which rows go and when; and the log as a whole, against a list."""

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bus.broker.housekeeping import Housekeeping
from bus.broker.partition import gather
from bus.broker.retention import Extent, Head, Policy, Schedule, Trimmed, outlived
from bus.broker.storage.reader import Gone, Reader
from tests.broker.log.rows import Disk, held, places, row
from tests.engines.log import Logged, unpacked

DAY = 86_400_000


@pytest.mark.parametrize(
    ("configs", "policy"),
    [
        pytest.param({}, Policy(DAY, None), id="by default, by the broker's time"),
        pytest.param({"retention.ms": "5"}, Policy(5, None), id="by time"),
        pytest.param({"retention.ms": "-1"}, Policy(None, None), id="for ever"),
        pytest.param({"retention.bytes": "7"}, Policy(DAY, 7), id="by size, too"),
        pytest.param({"retention.bytes": "-2"}, Policy(DAY, None), id="of any size"),
        pytest.param({"cleanup.policy": "compact"}, Policy(None, None), id="only compacted"),
        pytest.param({"cleanup.policy": "compact,delete"}, Policy(DAY, None), id="both"),
        pytest.param({"cleanup.policy": ""}, Policy(None, None), id="neither"),
    ],
)
def test_policies(configs: dict[str, str], policy: Policy) -> None:
    assert Policy.of(configs, DAY) == policy


HEADS = [Head(0, 2, 100, 10), Head(2, 3, 300, 10), Head(3, 9, 200, 10)]


@pytest.mark.parametrize(
    ("start", "policy", "now", "limit", "gone", "due"),
    [
        pytest.param(0, Policy(), 10**6, 99, 0, None, id="no limits"),
        pytest.param(2, Policy(), 0, 99, 1, None, id="below the start"),
        pytest.param(1, Policy(), 0, 99, 0, None, id="partly below the start"),
        pytest.param(9, Policy(), 0, 99, 3, None, id="all below the start"),
        pytest.param(0, Policy(50), 150, 99, 0, 151, id="just not old enough"),
        pytest.param(0, Policy(50), 151, 99, 1, 351, id="old enough"),
        pytest.param(0, Policy(50), 350, 99, 1, 351, id="behind one that is not old enough"),
        pytest.param(0, Policy(50), 351, 99, 3, None, id="all old enough"),
        pytest.param(0, Policy(50), 351, 15, 2, 251, id="no more than a step"),
        pytest.param(0, Policy(None, 20), 0, 99, 1, None, id="so many bytes are left"),
        pytest.param(0, Policy(None, 21), 0, 99, 0, None, id="fewer would be left"),
        pytest.param(0, Policy(None, 0), 0, 99, 3, None, id="none need be left"),
        pytest.param(0, Policy(50, 10), 151, 99, 2, 251, id="by size before by time"),
    ],
)
def test_which_rows_go(
    start: int, policy: Policy, now: int, limit: int, gone: int, due: int | None
) -> None:
    found = outlived(HEADS, start=start, size=30, policy=policy, now=now, limit=limit)
    assert found == (HEADS[:gone], due)


def test_each_partition_is_looked_at_when_it_is_due() -> None:
    schedule = Schedule()
    for partition, age in ((1, 50), (2, 20), (3, None)):
        schedule.govern(partition, Policy(age))
        assert schedule.take(0) == partition
        schedule.wrote(partition, Head(0, 1, 100, 10))
    assert schedule.next_due() == 121
    assert schedule.take(120) is None
    assert schedule.take(151) == 2
    assert schedule.take(151) == 1
    assert schedule.take(10**9) is None


def test_a_partition_that_is_dropped_is_not_looked_at() -> None:
    schedule = Schedule()
    schedule.govern(1, Policy(50))
    schedule.forget([1])
    assert schedule.next_due() is None


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """An empty partition."""
    made = Disk(tmp_path)
    yield made
    made.close()


def keep(disk: Disk, keeping: Housekeeping) -> None:
    """Do what is due, which must come to an end."""
    for _ in range(1000):
        if keeping.wait() != 0.0:
            return
        keeping.step(idle=True)
    raise AssertionError("there is always something to do")


def test_the_beginning_moves_in_the_same_commit(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.write([row(0, [Logged(timestamp=0)]), row(1, [Logged(timestamp=10**9)])])
    keeping = Housekeeping(disk.store, 0, clock=lambda: 10**9)
    keeping.know([(1, Extent(0, 2, disk.store.log.size(1)))])
    keeping.govern([1], Policy(1000))

    def full() -> None:
        error = sqlite3.OperationalError("the disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(disk.store, "commit", full)
        keeping.step(idle=True)
    stored = disk.store.topics.all()[0].partitions[0]
    assert (stored.start, stored.end) == (0, 2)
    assert (keeping.wait() or 0.0) > 0
    keeping._not_before = 0.0
    keep(disk, keeping)
    stored = disk.store.topics.all()[0].partitions[0]
    assert (stored.start, stored.end, stored.size) == (1, 2, disk.store.log.size(1))


def test_a_step_deletes_no_more_than_it_may(disk: Disk) -> None:
    disk.write([row(n, [Logged(value=b"x" * 100_000, timestamp=0)]) for n in range(20)])
    told: list[Trimmed] = []
    keeping = Housekeeping(disk.store, 0, clock=lambda: 10**9, trimmed=told.append)
    keeping.know([(1, Extent(0, 20, disk.store.log.size(1)))])
    keeping.govern([1], Policy(1000))
    keep(disk, keeping)
    assert [one.start for one in told] == [3, 6, 9, 12, 15, 18, 20]
    assert disk.store.log.size(1) == 0
    assert disk.store.topics.all()[0].partitions[0] == (1, 20, 20, 0)


def test_it_is_the_first_row_that_has_to_be_spared(disk: Disk) -> None:
    """Whatever the size of the row that was written last."""
    rows = [row(0, [Logged(value=b"x" * 100)]), row(1, [Logged(value=b"x" * 500)])]
    keeping = Housekeeping(disk.store, 0)
    keeping.govern([1], Policy(None, rows[1].size))
    for one in rows:
        disk.write([one])
        keeping.wrote([one])
        keep(disk, keeping)
    assert places(disk.store) == [(1, 2)]


@pytest.mark.parametrize("codec", [0, 1, 4], ids=["none", "gzip", "zstd"])
@pytest.mark.parametrize("start", range(1, 8))
def test_a_row_that_begins_before_the_partition_is_cut(disk: Disk, codec: int, start: int) -> None:
    records = [Logged(b"k%d" % n, b"v%d" % n, timestamp=1000 + n, offset=n) for n in range(8)]
    disk.write([row(0, records[:3], records[3:5], codec=codec), row(5, records[5:], codec=codec)])
    told: list[Trimmed] = []
    keeping = Housekeeping(disk.store, 0, trimmed=told.append)
    keeping.know([(1, Extent(0, 8, disk.store.log.size(1)))])
    keeping.govern([1], Policy())
    keep(disk, keeping)
    before = disk.store.log.size(1)
    disk.store.topics.begin(1, start)
    keeping.begins(1, start)
    keep(disk, keeping)
    assert held(disk.store) == records[start:]
    assert places(disk.store) == [(0, 5), (5, 8)][start >= 5 :]
    assert sum(one.size for one in told) == before - disk.store.log.size(1)
    assert keeping._schedule.extents[1].size == disk.store.log.size(1)
    again = Housekeeping(disk.store, 0, trimmed=told.append)  # after a restart
    again.know([(1, Extent(start, 8, disk.store.log.size(1)))])
    again.govern([1], Policy())
    told.clear()
    keep(disk, again)
    assert not told


def test_what_a_killed_broker_did_not_cut_is_cut_later(disk: Disk) -> None:
    disk.write([row(0, [Logged(b"a", offset=0), Logged(b"b", offset=1)])])
    disk.store.topics.begin(1, 1)
    keeping = Housekeeping(disk.store, 0)
    keeping.know([(1, Extent(1, 2, disk.store.log.size(1)))])
    keeping.govern([1], Policy())
    keep(disk, keeping)
    assert [record.key for record in held(disk.store)] == [b"b"]


class LogModel(RuleBasedStateMachine):
    """A partition on disk, and the list that it has to be like."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.disk = Disk(Path(self.folder.name))
        self.reader = Reader(self.disk.path)
        self.now = 10**6
        self.rows: list[tuple[int, int, int, int]] = []  # base, next, newest, size
        self.start = self.end = 0
        self.policy = Policy()
        self._open()

    def teardown(self) -> None:
        self.reader.close()
        self.disk.close()
        self.folder.cleanup()

    def _open(self) -> None:
        (topic,) = self.disk.store.topics.all()
        _, start, end, size = topic.partitions[0]
        self.keeping = Housekeeping(self.disk.store, 0, clock=lambda: self.now)
        self.keeping.know([(1, Extent(start, end, size))])
        self.keeping.govern([1], self.policy)

    @rule(ages=st.lists(st.integers(0, 3000), min_size=1, max_size=3), size=st.integers(0, 300))
    def append(self, ages: list[int], size: int) -> None:
        records = [Logged(b"k", b"x" * size, timestamp=self.now - age) for age in ages]
        made = row(self.end, records)
        self.disk.write([made])
        self.keeping.wrote([made])
        self.rows.append((made.base, made.next, made.newest, made.size))
        self.end = made.next

    @rule(age=st.none() | st.integers(0, 2000), size=st.none() | st.integers(0, 1500))
    def configure(self, age: int | None, size: int | None) -> None:
        self.policy = Policy(age, size)
        self.keeping.govern([1], self.policy)

    @precondition(lambda self: self.end)
    @rule(data=st.data())
    def delete_before(self, data: st.DataObject) -> None:
        start = data.draw(st.integers(0, self.end))
        if start > self.start:
            self.start = start
            self.disk.store.topics.begin(1, start)
            self.keeping.begins(1, start)

    @rule(milliseconds=st.integers(0, 1000))
    def pass_time(self, milliseconds: int) -> None:
        self.now += milliseconds

    @rule()
    def reopen(self) -> None:
        self._open()

    @rule()
    def keep_size(self) -> None:
        self.keeping._count.add(1)

    @invariant()
    def is_like_the_list(self) -> None:
        keep(self.disk, self.keeping)
        self._expire()
        assert all(record.offset >= self.start for record in held(self.disk.store))
        if self.rows and self.rows[0][0] < self.start:  # it was cut, and is as large as it is
            base, next_, newest, _ = self.rows[0]
            self.rows[0] = (base, next_, newest, self.disk.store.log.heads(1, 1)[0].size)
        (topic,) = self.disk.store.topics.all()
        size = sum(one[3] for one in self.rows)
        assert topic.partitions[0] == (1, self.start, self.end, size)
        assert self.keeping._schedule.extents[1].size == size
        for offset in range(max(0, self.start - 2), self.end):
            try:
                found = self.reader.rows(1, offset, self.end, 1)
            except Gone:
                assert offset < self.start
                continue
            stored = ((one.base, one.next, one.batches) for one in found)
            read = unpacked(gather(stored, offset, 1, at_least_one=True).batches)
            assert max(offset, self.start) in {one.offset for one in read}

    def _expire(self) -> None:
        """Delete of the list what has had its time."""
        while self.rows:
            _, next_, newest, size = self.rows[0]
            old = self.policy.age is not None and newest + self.policy.age < self.now
            left = sum(one[3] for one in self.rows) - size
            much = self.policy.size is not None and left >= self.policy.size
            if not (next_ <= self.start or old or much):
                return
            self.start = max(self.start, next_)
            del self.rows[0]


LogModel.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
test_the_log_is_like_a_list = LogModel.TestCase
