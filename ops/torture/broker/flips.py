"""Flip single bits of a stopped broker's database: detected or harmless, never served as good."""

import asyncio
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bus.broker import Broker
from bus.broker.storage.database import NAME
from bus.errors import BusError
from ops.torture.broker.account import Account, Entry
from ops.torture.broker.client import Client
from ops.torture.broker.load import PARTITIONS, TOPIC, Load, at_work
from ops.torture.broker.opened import local, prepared
from ops.torture.broker.reading import Unreadable, entries, position, topics_of

PAGE = 16_384
"""Bytes of one page of the database."""


class Verdict(StrEnum):
    """What became of a flipped bit."""

    HARMLESS = "harmless"
    REFUSED = "the broker does not start, or stops"
    OUT_OF_SERVICE = "a partition is out of service"
    SERVED = "served as good"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a campaign found.

    Attributes:
        verdicts: how often each was given.
        breaches: promises that were not kept.
    """

    verdicts: Counter[Verdict]
    breaches: tuple[str, ...]

    def __str__(self) -> str:
        counts = ", ".join(f"{self.verdicts[one]} {one}" for one in Verdict)
        return f"{self.verdicts.total()} bits flipped: {counts}"


@dataclass(frozen=True, slots=True)
class _Content:
    """What a broker serves: by partition what is in it, by group where it is; and its topics."""

    topics: dict[str, int]
    log: dict[int, list[Entry] | str]
    positions: dict[str, int | str]


class _Stopped(Exception):
    """A broker that stopped by itself."""


async def written(data: Path, seed: int) -> list[str]:
    """Fill an empty folder with a broker's database; return the groups that have positions."""
    async with local(data) as broker:
        await prepared(lambda: broker.address)
        load = Load(lambda: broker.address, Account().note, seed, committers=5, large=3000)
        async with at_work(load):
            await load.reached("batches", 30)
            await load.reached("transactions", 10)
    return [f"g{number}" for number in range(load.committers)]


async def flips(data: Path, seed: int, count: int, *, killed: bool = False) -> Outcome:
    """Flip one bit after another, each in a fresh copy, and see what a broker then serves.

    Args:
        data: an empty folder.
        seed: settles which bits: in turn anywhere, where there is something, and in pages that are
            mostly empty, as those of tables and of the database's structure are.
        count: how many.
        killed: whether the broker leaves no digest, so that nothing is promised of its tables but
            the log's rows, except that it starts or says why not.
    """
    groups = await written(data / "written", seed)
    database = data / "written" / NAME
    expected = await _served(data / "written", groups)
    if killed:
        _without_digest(database)
    whole, choose = database.read_bytes(), random.Random(seed)
    something = [at for at, byte in enumerate(whole) if byte]
    filled = Counter(at // PAGE for at in something)
    sparse = [at for at in something if filled[at // PAGE] < PAGE // 2]
    populations: tuple[Sequence[int], ...] = (range(len(whole)), something, sparse)
    verdicts: Counter[Verdict] = Counter()
    breaches = []
    for number in range(count):
        at, bit = choose.choice(populations[number % len(populations)]), choose.randrange(8)
        (folder := data / "flipped").mkdir()
        changed = bytearray(whole)
        changed[at] ^= 1 << bit
        (folder / NAME).write_bytes(changed)
        verdict, why = await _judged(folder, groups, expected, killed=killed)
        verdicts[verdict] += 1
        if verdict is Verdict.SERVED:
            breaches.append(f"seed {seed}, flip {number}: byte {at} bit {bit}: {why}")
        shutil.rmtree(folder)
    return Outcome(verdicts=verdicts, breaches=tuple(breaches))


def _without_digest(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as opened:
        opened.execute("delete from meta where name in ('digest', 'ends')")


async def _judged(
    folder: Path, groups: list[str], expected: _Content, *, killed: bool
) -> tuple[Verdict, str]:
    try:
        found = await _served(folder, groups)
    except (BusError, _Stopped):
        return Verdict.REFUSED, ""
    except Exception as error:  # whatever it is, it is not a clear refusal
        return Verdict.SERVED, f"it neither starts nor says why: {error!r}"
    if found.topics != expected.topics and not killed:
        return Verdict.SERVED, f"topics {found.topics}"
    verdict = Verdict.HARMLESS
    for partition, content in found.log.items():
        if isinstance(content, str):
            verdict = Verdict.OUT_OF_SERVICE
        elif not _right(content, expected.log[partition], killed=killed):
            return Verdict.SERVED, f"partition {partition}"
    for group, offset in found.positions.items():
        if offset != expected.positions[group] and not killed:
            return Verdict.SERVED, f"group {group} is at {offset}"
    return verdict, ""


def _right(found: list[Entry], expected: list[Entry] | str, *, killed: bool) -> bool:
    """Say whether what is served is what was written.

    Where a partition begins stands in a table that a killed broker leaves without a digest, and so
    does nothing tell where it ended: it may be shorter then, but what it has must be right.
    """
    return set(found) <= set(expected) if killed else found == expected


async def _served(folder: Path, groups: list[str]) -> _Content:
    async with local(folder) as broker:
        reading = asyncio.create_task(_read(broker, groups))
        stopping = asyncio.create_task(broker.failed.wait())
        await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not broker.failed.is_set():
            stopping.cancel()
            return await reading
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        raise _Stopped


async def _read(broker: Broker, groups: list[str]) -> _Content:
    client = await Client.to(lambda: broker.address)
    try:
        return _Content(
            await topics_of(client),
            {number: await _partition(client, number) for number in range(PARTITIONS)},
            {group: await position(client, TOPIC, group) for group in groups},
        )
    finally:
        client.close()


async def _partition(client: Client, number: int) -> list[Entry] | str:
    try:
        return await entries(client, TOPIC, number)
    except Unreadable as error:
        return str(error)
