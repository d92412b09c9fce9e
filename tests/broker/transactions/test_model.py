"""Any order of transactions, restarts and faults, against an oracle that does one after the other.

Who reads committed records sees exactly what the oracle says, and the last stable offset never goes
back. What is asked goes over a socket to a broker with a real database.
"""

import asyncio
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey, Broker, Fault
from bus.broker.storage.database import now_ms
from bus.settings import Address, BrokerSettings
from bus.telemetry import Telemetry
from tests.broker.raw import Raw, batch
from tests.engines.transactor import COMMITTED, UNCOMMITTED, Transactor, read, stable

T = TypeVar("T")

NONE = ErrorCode.none
TOPIC, GROUP = "t", "g"
PARTITIONS = range(2)
NAMES = ("a", "b", "c")
TIMEOUT = 600_000  # milliseconds: longer than this test takes

names, partitions = st.sampled_from(NAMES), st.sampled_from(PARTITIONS)


@dataclass(eq=False)
class Open:
    """An open transaction as the oracle knows it."""

    partitions: set[int] = field(default_factory=set)
    position: int | None = None
    turn: int = 0


class Oracle:
    """What is in each partition, by whom, and what has become of it."""

    def __init__(self) -> None:
        self.logs: dict[int, list[tuple[bytes | None, Open | None]]] = {p: [] for p in PARTITIONS}
        self.open: dict[str, Open] = {}
        self.aborted: set[Open] = set()
        self.position, self.turn = -1, 0

    def end(self, name: str, *, commit: bool) -> None:
        """End the open transaction of a transactional id, if there is one."""
        one = self.open.pop(name, None)
        if one is None:
            return
        for partition in one.partitions:
            self.logs[partition].append((None, None))
        if not commit:
            self.aborted.add(one)
        elif one.position is not None:
            self.move(one.position, one.turn)

    def move(self, position: int, turn: int) -> None:
        """Put a position in force, unless one is that came in a later turn."""
        if turn > self.turn:
            self.position, self.turn = position, turn

    def stable(self, partition: int) -> int:
        """Return the last stable offset."""
        log = self.logs[partition]
        still = set(self.open.values())
        return next((at for at, (_, one) in enumerate(log) if one in still), len(log))

    def committed(self, partition: int) -> list[bytes]:
        """Return what who reads committed records sees."""
        log = self.logs[partition][: self.stable(partition)]
        return [value for value, one in log if value is not None and one not in self.aborted]

    def everything(self, partition: int) -> list[bytes]:
        """Return what who reads all sees."""
        return [value for value, _ in self.logs[partition] if value is not None]


class Transactions(RuleBasedStateMachine):
    """Three transactional ids at work in two partitions."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.oracle = Oracle()
        self.late = 0
        self.latest: dict[str, Transactor] = {}
        self.fenced: list[Transactor] = []
        self.values = self.turns = 0
        self.reached: Counter[int] = Counter()
        self.last: dict[str, tuple[int, list[bytes], int]] = {}
        clock = patch("bus.broker.writer.now_ms", lambda: now_ms() + self.late)
        clock.start()
        self.stop_clock = clock.stop

    def do(self, asked: Any) -> Any:
        """Run something on the event loop."""
        return self.runner.run(asked)

    def value(self) -> bytes:
        """Return a value that nobody wrote yet."""
        self.values += 1
        return b"%d" % self.values

    def turn(self) -> int:
        """Return a number above all before."""
        self.turns += 1
        return self.turns

    @initialize()
    def begins(self) -> None:
        self.do(self._start())
        self.do(self.raw.made(TOPIC, len(PARTITIONS)))

    async def _start(self) -> None:
        local = BrokerSettings(listen=Address(host="127.0.0.1", port=0), retention_ms=-1)
        self.broker = Broker(local, self.folder, Telemetry())
        await self.broker.start()
        self.raw = await Raw.to(self.broker)
        for one in (*self.latest.values(), *self.fenced):
            one.raw = self.raw

    async def _stop(self) -> None:
        await self.raw.__aexit__()
        await self.broker.stop()

    def teardown(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "broker"):
            self.do(self._stop())
        self.runner.close()
        self.stop_clock()
        shutil.rmtree(self.folder)

    @rule(name=names)
    def begin(self, name: str) -> None:
        if name in self.latest:
            self.fenced.append(self.latest[name])
        one = Transactor(self.raw, name)
        self.latest[name] = self.do(one.begin(TIMEOUT))
        self._over(name, commit=False)

    def _over(self, name: str, *, commit: bool) -> None:
        self.oracle.end(name, commit=commit)
        self.last.pop(name, None)

    @rule(name=names, partition=partitions, count=st.integers(1, 3))
    def send(self, name: str, partition: int, count: int) -> None:
        if name not in self.latest:
            self.begin(name)
        values = [self.value() for _ in range(count)]
        offset = self.do(self.latest[name].send(TOPIC, *values, partition=partition))
        log, one = self.oracle.logs[partition], self.oracle.open.setdefault(name, Open())
        assert offset == len(log)
        one.partitions.add(partition)
        log += [(value, one) for value in values]
        self.last[name] = partition, values, offset

    @rule(name=names)
    def send_again(self, name: str) -> None:
        if name in self.oracle.open and name in self.last:
            partition, values, offset = self.last[name]
            producer = self.latest[name]
            producer._sequences[TOPIC, partition] -= len(values)
            told = self.do(producer.write(TOPIC, *values, partition=partition))
            assert (told.error_code, told.base_offset) == (NONE, offset)

    @rule(name=names, partition=partitions)
    def add(self, name: str, partition: int) -> None:
        if name in self.latest:
            assert self.do(self.latest[name].add(TOPIC, partition)) is NONE
            self.oracle.open.setdefault(name, Open()).partitions.add(partition)

    @rule(name=names)
    def move(self, name: str) -> None:
        if name in self.latest:
            producer, position = self.latest[name], self.values
            assert self.do(producer.add_offsets(GROUP)) is NONE
            assert self.do(producer.commit_offset(GROUP, TOPIC, position)) is NONE
            one = self.oracle.open.setdefault(name, Open())
            one.position, one.turn = position, self.turn()

    @rule()
    def move_outside(self) -> None:
        position = self.values
        part = {"partition_index": 0, "committed_offset": position, "committed_leader_epoch": -1}
        topic = {"name": TOPIC, "partitions": [part | {"committed_metadata": ""}]}
        asked = {"group_id": GROUP, "generation_id_or_member_epoch": -1, "member_id": ""}
        more = {"group_instance_id": None, "topics": [topic]}
        answer = self.do(self.raw.ask(ApiKey.OFFSET_COMMIT, 8, **asked, **more))
        assert answer.topics[0].partitions[0].error_code is NONE
        self.oracle.move(position, self.turn())

    @rule(name=names, commit=st.booleans())
    def end(self, name: str, commit: bool) -> None:
        if name in self.latest:
            error = self.do(self.latest[name].end(commit=commit))
            assert error is NONE or name not in self.oracle.open
            self._over(name, commit=commit)

    @rule(partition=partitions)
    def plain(self, partition: int) -> None:
        value = self.value()
        self.do(self.raw.produce(TOPIC, batch(value), partition=partition))
        self.oracle.logs[partition].append((value, None))

    @precondition(lambda self: self.fenced)
    @rule(partition=partitions)
    def a_zombie_does_nothing(self, partition: int) -> None:
        zombie = self.fenced[-1]
        assert self.do(zombie.add(TOPIC, partition)) is ErrorCode.producer_fenced
        told = self.do(zombie.write(TOPIC, b"zombie", partition=partition))
        assert told.error_code is ErrorCode.invalid_producer_epoch
        assert self.do(zombie.end(commit=True)) is ErrorCode.producer_fenced

    @rule(name=names, partition=partitions)
    def a_commit_fails(self, name: str, partition: int) -> None:
        if name in self.latest:
            self.add(name, partition)
            self.broker.faults.arrange(ApiKey.PRODUCE, Fault.COMMIT_FULL)
            told = self.do(self.latest[name].write(TOPIC, b"lost", partition=partition))
            assert told.error_code is ErrorCode.kafka_storage_error

    @precondition(lambda self: self.oracle.open)
    @rule()
    def time_passes(self) -> None:
        self.late += 2 * TIMEOUT
        engine = self.broker._engine
        assert engine is not None
        turn = engine.transact(lambda store, stage: stage.transactions.abort_late(NAMES))
        self.do(turn)
        for name in list(self.oracle.open):
            self._over(name, commit=False)
            self.fenced.append(self.latest.pop(name))

    @rule()
    def restart(self) -> None:
        self.do(self._stop())
        self.do(self._start())

    @invariant()
    def readers_see_what_the_oracle_says(self) -> None:
        for partition in PARTITIONS if hasattr(self, "broker") else ():
            log = self.oracle.logs[partition]
            ends = self.do(stable(self.raw, TOPIC, partition))
            assert ends == (self.oracle.stable(partition), len(log))
            assert ends[0] >= self.reached[partition]
            self.reached[partition] = ends[0]
            seen = self.do(read(self.raw, TOPIC, COMMITTED, partition=partition))
            assert seen == self.oracle.committed(partition)
            seen = self.do(read(self.raw, TOPIC, UNCOMMITTED, partition=partition))
            assert seen == self.oracle.everything(partition)

    @invariant()
    def positions_are_what_the_oracle_says(self) -> None:
        if not hasattr(self, "broker"):
            return
        wanted = [{"name": TOPIC, "partition_indexes": (0,)}]
        asked = {"group_id": GROUP, "topics": wanted}
        for waits in (False, True):
            answer = self.do(self.raw.ask(ApiKey.OFFSET_FETCH, 7, **asked, require_stable=waits))
            told = answer.topics[0].partitions[0]
            if waits and any(one.position is not None for one in self.oracle.open.values()):
                assert told.error_code is ErrorCode.unstable_offset_commit
            else:
                assert (told.error_code, told.committed_offset) == (NONE, self.oracle.position)


TestTransactions = pytest.mark.slow(Transactions.TestCase)
TestTransactions.settings = settings(max_examples=12, stateful_step_count=30, deadline=None)
