"""kill -9 while records are deleted and compacted: nothing that is to stay is lost."""

import asyncio
import os
import random
from contextlib import suppress
from pathlib import Path

import pytest

from bus.broker.check import check
from tests.broker.raw import TIME, Raw
from tests.broker.test_crash import Killed, broker_to_kill
from tests.engines.log import Logged, packed, stored
from tests.waiting import until

CYCLES = 4
SEED = 20261122
KEYS = 30
COMPACTED = {
    "cleanup_policy": "compact",
    "segment_ms": "1",
    "min_cleanable_dirty_ratio": "0",
    "delete_retention_ms": "0",
}


class Writing:
    """Writes to a compacted topic and to one that is kept small, one batch at a time."""

    def __init__(self, broker: Killed, chance: random.Random) -> None:
        self.broker, self._chance = broker, chance
        self.last: dict[bytes, set[bytes]] = {}
        """The values that a key may have: what was acknowledged last, and what was sent since."""
        self.acknowledged = 0
        self.stopping = False
        self._sent = 0

    async def run(self) -> None:
        """Write until told to stop, across crashes."""
        while not self.stopping:
            with suppress(ConnectionError, AssertionError):  # it was killed
                async with await Raw.to(self.broker.address) as raw:
                    while not self.stopping:
                        await self._write(raw)
            await asyncio.sleep(0.02)  # before it knocks again

    async def _write(self, raw: Raw) -> None:
        self._sent += 1
        key = b"%d" % self._chance.randrange(KEYS)
        value = b"%d " % self._sent + os.urandom(8000)
        self.last.setdefault(key, set()).add(value)
        await raw.produce(
            "c", packed(Logged(key, value, timestamp=TIME + 10 * self._sent), codec=4)
        )
        self.last[key] = {value}
        await raw.produce("d", packed(Logged(value=os.urandom(60_000))))
        self.acknowledged += 1

    async def more(self, count: int) -> None:
        """Wait until so many more are acknowledged."""
        enough = self.acknowledged + count
        await until(lambda: self.acknowledged >= enough)


@pytest.mark.slow
async def test_killed_in_the_middle_of_it(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    start = 0
    async with broker_to_kill(tmp_path) as broker, asyncio.timeout(100):
        async with await Raw.to(broker.address) as raw:
            await raw.made("c", 1, **COMPACTED)
            await raw.made("d", retention_bytes="500000")
        writing = Writing(broker, chance)
        running = asyncio.create_task(writing.run())
        for _ in range(CYCLES):
            await writing.more(chance.randrange(20, 80))
            await asyncio.sleep(chance.random() * 0.2)
            await broker.kill()
            report = check(tmp_path / "broker.db", max_unpacked=2**24)
            assert (report.damages, report.damage) == (0, [])
            await broker.start()
            async with await Raw.to(broker.address) as raw:
                began = await first(raw, "d")
                assert began >= start  # it never goes back
                start = began
        writing.stopping = True
        await running
        async with await Raw.to(broker.address) as raw:
            await until(lambda: is_small(raw))
            left = await stored(raw, "c")
    assert start > 0
    newest = {one.key: one.value for one in left}
    assert newest.keys() == writing.last.keys()
    assert all(value in writing.last[key or b""] for key, value in newest.items())
    offsets = [one.offset for one in left]
    assert offsets == sorted(set(offsets))
    assert len(left) <= 2 * KEYS  # it was compacted
    report = check(tmp_path / "broker.db", max_unpacked=2**24)
    assert (report.damages, report.damage) == (0, [])


async def first(raw: Raw, topic: str) -> int:
    """Return the offset where a topic begins."""
    part = {"partition_index": 0, "current_leader_epoch": -1, "timestamp": -2}
    asked = [{"name": topic, "partitions": [part]}]
    answer = await raw.ask(2, 7, replica_id=-1, isolation_level=0, topics=asked)
    begins: int = answer.topics[0].partitions[0].offset
    return begins


async def is_small(raw: Raw) -> bool:
    """Say whether both topics are as small as they are to be."""
    answer = await raw.ask(35, 4, topics=None)
    sizes = {one.name: one.partitions[0].partition_size for one in answer.results[0].topics}
    return bool(sizes["d"] < 600_000 and sizes["c"] < 2 * KEYS * 8000)
