"""Any order of writing, transactions, compaction, deletion and restarts, against a dictionary.

Of each key the last value stays, at the offset that it was given; what is superseded, was written
in vain or has no key goes with the next compaction that is done to its end; a tombstone goes once
it has had its time after the first. A real broker and its database are asked over a socket.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bus.broker.compaction.messages import Done, Order, Step
from bus.broker.compaction.process import compacted
from bus.broker.storage.cleaning import CleaningReader
from tests.broker.raw import CODECS, Raw, produce_fields
from tests.broker.stores import made
from tests.engines.log import ATTRIBUTES_AT, Logged, delete_before, edited, packed, stored
from tests.engines.transactor import COMMITTED, NONE, Transactor, read

TOPIC = "t"
KEEP = 1000  # milliseconds that tombstones stay
TRANSACTIONAL, PRODUCER_AT = 0x10, 43

names = st.sampled_from(("x", "y"))
drawn = st.lists(
    st.tuples(st.sampled_from((b"a", b"b", b"c", None)), st.booleans()), min_size=1, max_size=3
)
codecs = st.sampled_from(tuple(CODECS.values()))


class Open:
    """A transaction.

    Attributes:
        committed: None as long as it is open.
    """

    committed: bool | None = None


class Entry(NamedTuple):
    """What was written at an offset; a mark has no record."""

    record: Logged | None
    within: Open | None

    @property
    def counts(self) -> bool:
        """Whether it is a record that was not written in vain."""
        return self.record is not None and (self.within is None or self.within.committed is True)


class Compacting(RuleBasedStateMachine):
    """A topic of one partition, and the dictionary that it has to be like."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.log: list[Entry] = []
        self.start = self.reached = 0  # by any compaction, also one that was broken off
        self.now = 10**6
        self.values = 0
        self.open: dict[str, Open] = {}
        self.producers: dict[str, Transactor] = {}
        self.sequences: dict[str, int] = {}
        self.gone: set[int] = set()
        self.first_met: dict[int, int] = {}  # when a tombstone was, at the earliest
        self.sure: dict[int, int] = {}  # and at the latest
        self.may_go: set[int] = set()

    def do(self, asked: Any) -> Any:
        """Run something on the event loop."""
        return self.runner.run(asked)

    @initialize()
    def begins(self) -> None:
        self.do(self._start())
        self.do(self.raw.made(TOPIC))

    async def _start(self) -> None:
        self.broker = made(self.folder, retention_ms=-1, tail_cache_bytes=0)
        await self.broker.start()
        self.raw = await Raw.to(self.broker)
        for one in self.producers.values():
            one.raw = self.raw

    async def _stop(self) -> None:
        await self.raw.__aexit__()
        await self.broker.stop()

    def teardown(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "broker"):
            self.do(self._stop())
        self.runner.close()
        shutil.rmtree(self.folder)

    def _records(self, drawn: Sequence[tuple[bytes | None, bool]]) -> list[Logged]:
        made_: list[Logged] = []
        for key, valued in drawn:
            self.values += 1
            value = b"value %d" % self.values if valued else None
            made_.append(Logged(key, value, offset=len(self.log) + len(made_)))
        return made_

    @rule(drawn=drawn, codec=codecs)
    def write(self, drawn: Sequence[tuple[bytes | None, bool]], codec: int) -> None:
        records = self._records(drawn)
        told = self.do(self.raw.produce(TOPIC, packed(*records, codec=codec)))
        assert (told.error_code, told.base_offset) == (NONE, len(self.log))
        self.log += [Entry(one, None) for one in records]

    @rule(name=names, drawn=drawn, codec=codecs)
    def write_in_a_transaction(
        self, name: str, drawn: Sequence[tuple[bytes | None, bool]], codec: int
    ) -> None:
        if name not in self.producers:
            self.producers[name] = self.do(Transactor(self.raw, name).begin())
            self.sequences[name] = 0
        producer, records = self.producers[name], self._records(drawn)
        assert self.do(producer.add(TOPIC)) is NONE
        sequence = self.sequences[name].to_bytes(4, "big")
        mine = producer.id.to_bytes(8, "big") + producer.epoch.to_bytes(2, "big") + sequence
        batch = edited(packed(*records, codec=codec), PRODUCER_AT, mine)
        batch = edited(batch, ATTRIBUTES_AT, (codec | TRANSACTIONAL).to_bytes(2, "big"))
        fields = produce_fields(TOPIC, batch) | {"transactional_id": name}
        answer = self.do(self.raw.ask(0, 9, **fields))
        told = answer.responses[0].partition_responses[0]
        assert (told.error_code, told.base_offset) == (NONE, len(self.log))
        self.sequences[name] += len(records)
        one = self.open.setdefault(name, Open())
        self.log += [Entry(record, one) for record in records]

    @precondition(lambda self: self.open)
    @rule(data=st.data(), commit=st.booleans())
    def end(self, data: st.DataObject, commit: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.open)))
        assert self.do(self.producers[name].end(commit=commit)) is NONE
        self.open.pop(name).committed = commit
        self.log.append(Entry(None, None))

    @rule(milliseconds=st.integers(1, KEEP))
    def time_passes(self, milliseconds: int) -> None:
        self.now += milliseconds

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def delete_before(self, data: st.DataObject) -> None:
        offset = data.draw(st.integers(self.start, self._stable()))
        told = self.do(delete_before(self.raw, TOPIC, offset))
        assert (told.error_code, told.low_watermark) == (NONE, offset)
        self.start = offset

    @rule()
    def restart(self) -> None:
        self.do(self._stop())
        self.do(self._start())

    @precondition(lambda self: self.log)
    @rule(steps=st.none() | st.integers(0, 2), keys=st.integers(1, 5))
    def compact(self, steps: int | None, keys: int) -> None:
        self._before(self._stable())
        done = self.do(self._compact(steps, keys))
        if done is not None:
            self._after(done)

    async def _compact(self, steps: int | None, keys: int) -> int | None:
        """Compact as the broker does, by hand; return up to where, None if it was broken off."""
        engine = self.broker._engine
        assert engine is not None
        partition = engine.topics.partition(TOPIC, 0)
        assert partition is not None
        number = partition.number
        heads = await engine.query(partition, lambda stored_: stored_.heads(number, 10_000, 0))
        if not heads:
            return None
        reader = CleaningReader(engine.path)
        try:
            order = Order(
                partition=number,
                start=partition.start,
                cleaned=partition.start,
                end=max(partition.start, heads[-1].base),  # the row that was written last stays
                now=self.now,
                least=0,
                delete_retention=KEEP,
                keys=keys,
            )
            for step, answer in enumerate(compacted(reader, order)):
                if isinstance(answer, Done):
                    return answer.cleaned
                assert isinstance(answer, Step), answer
                if step == steps:
                    return None
                less = await engine._compaction._put(partition, answer, None)
                if less is None:  # what DeleteRecords left was cut meanwhile
                    return None
                engine.replaced(partition, answer.next, less)
        finally:
            reader.close()
        raise AssertionError("it did not say that it was done")

    def _stable(self) -> int:
        """Return where the first open transaction begins."""
        still = set(self.open.values())
        return next((n for n, one in enumerate(self.log) if one.within in still), len(self.log))

    def _last(self, end: int) -> dict[bytes, int]:
        """Return the last offset of each key before an offset."""
        counting = [(n, one.record) for n, one in enumerate(self.log[:end]) if one.counts]
        return {one.key: n for n, one in counting if one and one.key is not None}

    def _before(self, end: int) -> None:
        """Say what may go, if a compaction reaches as far as it can."""
        self.reached = max(self.reached, end)
        last = self._last(end)
        for offset, (record, _) in enumerate(self.log[:end]):
            if record is None or record.key is None or last.get(record.key) != offset:
                self.may_go.add(offset)
            elif record.value is None:
                met = self.first_met.setdefault(offset, self.now)
                if self.now >= met + KEEP:
                    self.may_go.add(offset)

    def _after(self, end: int) -> None:
        """Say what has to be gone, after one that was done up to an offset."""
        last = self._last(end)
        for offset, (record, _) in enumerate(self.log[: max(end, 0)]):
            if record is None or record.key is None or last.get(record.key) != offset:
                self.gone.add(offset)
            elif record.value is None and offset >= self.start:
                met = self.sure.setdefault(offset, self.now)
                if self.now >= met + KEEP:
                    self.gone.add(offset)

    @invariant()
    def it_is_like_the_dictionary(self) -> None:
        if not hasattr(self, "broker"):
            return
        found = self.do(stored(self.raw, TOPIC, start=self.start))
        there = {one.offset: one for one in found if self.log[one.offset].record is not None}
        offsets = [one.offset for one in found]
        assert offsets == sorted(set(offsets))
        for offset, (record, _) in list(enumerate(self.log))[self.start :]:
            if record is None:
                continue
            if offset in there:
                assert there[offset] == record
                assert offset not in self.gone
            else:
                assert offset in self.may_go
        seen = self.do(read(self.raw, TOPIC, COMMITTED, start=self.start))
        wanted = [
            one.value
            for one in there.values()
            if one.value and self.log[one.offset].counts and one.offset < self._stable()
        ]
        older = {one.record.value for one in self.log[: self.start] if one.record}
        assert [value for value in seen if value and value not in older] == wanted


TestCompacting = pytest.mark.slow(Compacting.TestCase)
TestCompacting.settings = settings(
    max_examples=8,
    stateful_step_count=25,
    deadline=None,
    phases=(Phase.reuse, Phase.generate),  # as making a failure small would take very long
)
