"""A group whose members come and go all the time: each event arrives, commits never go back.

Members are processes with an ordinary client library, and are killed without any warning.
"""

import asyncio
import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kio.schema.errors import ErrorCode

from bus.broker.keys import ApiKey
from bus.cli.demo.programs import end_with_parent
from ops.torture.broker.client import Client, batch, produce
from ops.torture.broker.load import TOPIC
from ops.torture.broker.opened import prepared
from ops.torture.broker.victim import Victims

MEMBERS, PARTITIONS = 10, 12
GROUP = "churn"
CHANGE_EVERY = 2.0
"""Seconds."""

SETTLED = 30.0
"""Seconds, from the last change of members until everything is handled and committed."""

_BATCH = 500  # events
_LOOK_EVERY = 0.05  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a campaign found.

    Attributes:
        events: how many were written.
        handled: how often one was handled: more than once where hands changed.
        changes: how often a member was killed or added.
        settled: seconds from the last of them until everything was handled and committed.
        breaches: promises that were not kept.
    """

    events: int
    handled: int
    changes: int
    settled: float
    breaches: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.events} events, {self.changes} members killed or added, "
            f"{self.handled - self.events} events handled again, settled {self.settled:.1f} s "
            f"after the last change, {len(self.breaches)} promises broken"
        )


@dataclass(slots=True)
class _Seen:
    """What members handled, and what they committed, by partition."""

    ends: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(PARTITIONS), 0))
    runs: defaultdict[int, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    committed: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(PARTITIONS), -1))
    breaches: list[str] = field(default_factory=list)

    def commits(self, partition: int, offset: int) -> None:
        if offset < self.committed[partition]:
            self.breaches.append(
                f"partition {partition}: the position went from {self.committed[partition]} back "
                f"to {offset}"
            )
        self.committed[partition] = offset

    def missing(self) -> list[str]:
        """Return the first gap of each partition in what was handled."""
        gaps = []
        for partition, end in self.ends.items():
            reached = 0
            for first, next_ in sorted(self.runs[partition]):
                if first > reached:
                    break
                reached = max(reached, next_)
            if reached < end:
                gaps.append(f"partition {partition}: {reached} was never handled")
        return gaps

    @property
    def handled(self) -> int:
        return sum(next_ - first for runs in self.runs.values() for first, next_ in runs)


class _Members:
    """The processes at work."""

    def __init__(self, bootstrap: str, seen: _Seen) -> None:
        self._bootstrap, self._seen = bootstrap, seen
        self.alive: list[asyncio.subprocess.Process] = []
        self._readers: set[asyncio.Task[None]] = set()

    async def add(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "ops.torture.broker.member",
            self._bootstrap,
            GROUP,
            TOPIC,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            preexec_fn=end_with_parent(os.getpid()),
        )
        self.alive.append(process)
        task = asyncio.create_task(self._read(process))
        self._readers.add(task)
        task.add_done_callback(self._readers.discard)

    async def kill(self, process: asyncio.subprocess.Process) -> None:
        self.alive.remove(process)
        process.kill()
        await process.wait()

    async def end(self) -> None:
        for process in list(self.alive):
            await self.kill(process)
        await asyncio.gather(*self._readers)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            if line.endswith(b"\n") and line != b"ready\n":
                partition, first, next_ = map(int, line.split())
                self._seen.runs[partition].append((first, next_))


async def churn(data: Path, seed: int, *, events: int, seconds: float) -> Outcome:
    """Write events while members are killed and added.

    Args:
        data: an empty folder.
        seed: settles who is killed.
        events: how many; whole batches of 500 are written.
        seconds: in which they are written.
    """
    choose, seen, changes = random.Random(seed), _Seen(), 0
    events -= events % _BATCH
    async with Victims(data) as victim:
        await prepared(lambda: victim.address, PARTITIONS)
        members = _Members(str(victim.address), seen)
        async with _watched(victim, seen):
            try:
                for _ in range(MEMBERS):
                    await members.add()
                writing = asyncio.create_task(_write(victim, seen, events, seconds))
                while not writing.done():
                    await asyncio.wait({writing}, timeout=CHANGE_EVERY)
                    changes += 1
                    if len(members.alive) < MEMBERS or choose.random() < 0.2:
                        await members.add()
                    else:
                        await members.kill(choose.choice(members.alive))
                await writing
                settled = await _settled(seen)
            finally:
                await members.end()
    return Outcome(
        events=events,
        handled=seen.handled,
        changes=changes,
        settled=settled,
        breaches=tuple(f"seed {seed}: {one}" for one in [*seen.breaches, *seen.missing()]),
    )


async def _write(victim: Victims, seen: _Seen, events: int, seconds: float) -> None:
    client = await Client.to(lambda: victim.address)
    started, data = time.monotonic(), batch(*[b"event"] * _BATCH)
    try:
        for number in range(events // _BATCH):
            late = time.monotonic() - started - number * _BATCH * seconds / events
            await asyncio.sleep(max(0.0, -late))
            partition = number % PARTITIONS
            answer = await client.ask(ApiKey.PRODUCE, 9, **produce(TOPIC, {partition: data}))
            part = answer.responses[0].partition_responses[0]
            assert part.error_code is ErrorCode.none, part
            seen.ends[partition] = part.base_offset + _BATCH
    finally:
        client.close()


async def _settled(seen: _Seen) -> float:
    """Return the seconds until everything is handled and committed; give up a while after."""
    started = time.monotonic()
    while seen.missing() or seen.committed != seen.ends:
        if time.monotonic() - started > SETTLED:
            seen.breaches.append(f"not settled in {SETTLED:g} s: {seen.committed} of {seen.ends}")
            break
        await asyncio.sleep(_LOOK_EVERY)
    return time.monotonic() - started


@asynccontextmanager
async def _watched(victim: Victims, seen: _Seen) -> AsyncIterator[None]:
    """Look at the group's positions all the time."""
    client = await Client.to(lambda: victim.address)
    looking = asyncio.create_task(_look(client, seen))
    try:
        yield
    finally:
        looking.cancel()
        client.close()


async def _look(client: Client, seen: _Seen) -> None:
    wanted = [{"name": TOPIC, "partition_indexes": list(range(PARTITIONS))}]
    while True:
        answer = await client.ask(
            ApiKey.OFFSET_FETCH, 7, group_id=GROUP, topics=wanted, require_stable=False
        )
        for part in answer.topics[0].partitions:
            seen.commits(part.partition_index, part.committed_offset)
        await asyncio.sleep(_LOOK_EVERY)
