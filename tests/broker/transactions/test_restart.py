"""Transactions across restarts, and across kill -9: whole or not at all."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey, Broker
from bus.settings import Address, BrokerSettings
from bus.telemetry import Telemetry
from tests.broker.raw import Raw
from tests.broker.test_crash import broker_to_kill
from tests.engines.transactor import (
    COMMITTED,
    UNCOMMITTED,
    Transactor,
    read,
    settled,
    stable,
)

NONE = ErrorCode.none
PARTITIONS = range(3)
NAMES = ("a", "b", "c", "d")
CYCLES = 4
SOME = 15
"""Transactions of each producer that are acknowledged before a kill."""


def made(data: Path) -> Broker:
    """Return a broker on a free port that is not started."""
    settings = BrokerSettings(listen=Address(host="127.0.0.1", port=0))
    return Broker(settings, data, Telemetry())


async def test_an_open_transaction_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await raw.made("t")
        before = await Transactor(raw, "me").begin()
        await before.send("t", b"a")
        await before.add_offsets("g")
        await before.commit_offset("g", "t", 7)
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        assert await stable(raw, "t") == (0, 1)
        assert await position(raw, "g", stable=True) is ErrorCode.unstable_offset_commit
        before.raw = raw
        await before.send("t", b"b")
        assert await before.end(commit=True) is NONE
        assert await read(raw, "t", COMMITTED) == [b"a", b"b"]
        assert await position(raw, "g", stable=True) == 7


async def test_what_was_aborted_stays_so_after_a_restart(tmp_path: Path) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await raw.made("t")
        producer = await Transactor(raw, "me").begin()
        for number in range(4):
            await producer.send("t", b"%d" % number)
            await producer.end(commit=number % 2 == 0)
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        assert await read(raw, "t", COMMITTED) == [b"0", b"2"]
        producer.raw = raw
        assert await producer.end(commit=False) is NONE
        assert await producer.end(commit=True) is ErrorCode.invalid_txn_state


async def test_a_timeout_goes_on_across_a_restart(tmp_path: Path) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await raw.made("t")
        producer = await Transactor(raw, "me").begin(timeout=1)
        await producer.send("t", b"a")
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await settled(raw, "t")
        assert await read(raw, "t", COMMITTED) == []
        producer.raw = raw
        assert await producer.end(commit=True) is ErrorCode.producer_fenced


async def test_damage_does_not_hold_up_a_transaction_elsewhere(tmp_path: Path) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await raw.made("t", 2)
        producer = await Transactor(raw, "me").begin()
        for partition in range(2):
            await producer.send("t", b"needle%d" % partition * 9, partition=partition)
    database = tmp_path / "broker.db"
    with sqlite3.connect(database) as db:
        db.execute(
            "update log set seal = seal + 1 where position = (select min(position) from log)"
        )
    db.close()
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        producer.raw = raw
        assert await producer.end(commit=True) is NONE
        assert await read(raw, "t", COMMITTED, partition=1) == [b"needle1" * 9]
        assert (await raw.fetch("t", 0)).error_code is ErrorCode.corrupt_message
        assert not broker.failed.is_set()


async def position(raw: Raw, group: str, *, stable: bool) -> int | ErrorCode:
    """Return a group's position, or why there is none."""
    wanted = [{"name": "t", "partition_indexes": (0,)}]
    fields = {"group_id": group, "topics": wanted, "require_stable": stable}
    answer = await raw.ask(ApiKey.OFFSET_FETCH, 7, **fields)
    told = answer.topics[0].partitions[0]
    return ErrorCode(told.error_code) if told.error_code else int(told.committed_offset)


class Load:
    """A producer that writes a number to every partition and commits it as a position, in one."""

    def __init__(self, name: str) -> None:
        self.name, self.number = name, 0
        self.acknowledged: set[int] = set()
        self.more = asyncio.Event()
        self.lost = False  # whether the loss of the connection is taken for granted

    async def run(self, address: Address) -> None:
        """Go on until the connection is lost."""
        try:
            async with await Raw.to(address) as raw:
                producer = await Transactor(raw, self.name).begin()
                while True:
                    await self._one(producer)
        except (AssertionError, ConnectionError):
            if not self.lost:
                raise

    async def _one(self, producer: Transactor) -> None:
        self.number += 1
        number = self.number
        for partition in PARTITIONS:
            await producer.send("t", f"{self.name} {number}".encode(), partition=partition)
        await producer.add_offsets(self.name)
        await producer.commit_offset(self.name, "t", number)
        if await producer.end(commit=True) is NONE:
            self.acknowledged.add(number)
            self.more.set()

    async def enough(self, count: int) -> None:
        """Wait until so many more are acknowledged."""
        wanted = len(self.acknowledged) + count
        while len(self.acknowledged) < wanted:
            self.more.clear()
            await self.more.wait()


@pytest.mark.slow
async def test_a_transaction_is_whole_or_not_at_all_across_kills(tmp_path: Path) -> None:
    loads = [Load(name) for name in NAMES]
    async with broker_to_kill(tmp_path) as broker:
        async with await Raw.to(broker.address) as raw:
            await raw.made("t", len(PARTITIONS))
        for _ in range(CYCLES):
            for load in loads:
                load.lost = False
            running = [asyncio.create_task(load.run(broker.address)) for load in loads]
            await asyncio.gather(*(load.enough(SOME) for load in loads))
            for load in loads:
                load.lost = True
            await broker.kill()
            await asyncio.gather(*running)
            await broker.start()
            await check(broker.address, loads)


async def check(address: Address, loads: list[Load]) -> None:
    """Hold what readers see against what was acknowledged."""
    async with await Raw.to(address) as raw:
        for load in loads:  # shuts out the one before and ends what it had open
            await Transactor(raw, load.name).begin()
        seen: list[list[bytes]] = []
        for partition in PARTITIONS:
            last_stable, end = await stable(raw, "t", partition)
            assert last_stable == end
            everything = await read(raw, "t", UNCOMMITTED, partition=partition)
            assert len(set(everything)) == len(everything)
            seen.append(await read(raw, "t", COMMITTED, partition=partition))
        for load in loads:
            front = f"{load.name} ".encode()
            ours = [[int(one[2:]) for one in values if one.startswith(front)] for values in seen]
            assert ours[0] == ours[1] == ours[2] == sorted(ours[0])
            assert load.acknowledged <= set(ours[0]) <= {*load.acknowledged, load.number}
            assert await position(raw, load.name, stable=True) == ours[0][-1]
            load.acknowledged = set(ours[0])
