"""The broker's campaign: everything that can befall it, one after the other, within a time.

Beside all of it another broker deletes and compacts under load for the whole of the time.
"""

import asyncio
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bus.cli.demo.programs import end_with_parent
from bus.errors import BusError
from ops.torture.broker import (
    churn,
    flips,
    guided,
    hostile,
    injected,
    io_errors,
    keeping,
    kills,
    power_loss,
    upkeep,
)
from ops.torture.broker.disk import reachable

MINUTES = 60.0

GUIDED = 50.0
"""Seconds of one run of the fuzzer, at the most."""

CHURN, SHORTEST_CHURN = 300.0, 10.0
"""Seconds of churn, at the most and at the least; 3,334 events in each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What came of some tries.

    Attributes:
        tries: how many.
        more: further figures, as sentences without a full stop.
        breaches: promises that were not kept.
    """

    tries: int
    more: str = ""
    breaches: Sequence[str] = ()


Run = Callable[[Path, int, float], Coroutine[None, None, Tally]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the campaign.

    Attributes:
        name: what it is called.
        what: what is tried, in the plural.
        planned: how often.
        minutes: its share of the hour, at the most.
        run: tries some of it in an empty folder, settled by a seed, and is told the seconds that
            are left for it.
    """

    name: str
    what: str
    planned: int
    minutes: float
    run: Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a part."""

    part: Part
    tries: int
    seconds: float
    more: tuple[str, ...]
    breaches: tuple[str, ...]

    def __str__(self) -> str:
        last = f"; {self.more[-1]}" if self.more else ""
        return (
            f"{self.part.name}: {self.tries} of {self.part.planned} {self.part.what} in "
            f"{self.seconds:.0f} s, {len(self.breaches)} promises broken{last}"
        )


async def _power(data: Path, seed: int, seconds: float) -> Tally:
    found = await power_loss.power_loss(data, seed)
    return Tally(tries=found.cuts, breaches=found.breaches)


async def _keeping(data: Path, seed: int, seconds: float) -> Tally:
    found = await keeping.keeping(data, seed, 5)
    return Tally(tries=found.cuts, breaches=found.breaches)


async def _disk(data: Path, seed: int, seconds: float) -> Tally:
    found = await io_errors.io_errors(data, seed, list(io_errors.cases()))
    more = f"the broker stopped by itself {found.stops} times in {found.failures}"
    return Tally(tries=found.failures, more=more, breaches=found.breaches)


async def _calls(data: Path, seed: int, seconds: float) -> Tally:
    choose = random.Random(seed)
    case = injected.Case(
        choose.choice(injected.CALLS), choose.choice(injected.ERRORS), choose.randint(1, 50)
    )
    found = await injected.injected(data, seed, case)
    return Tally(tries=1, breaches=found.breaches)


async def _flips(data: Path, seed: int, seconds: float) -> Tally:
    found = await flips.flips(data, seed, 500, killed=seed % 4 == 0)
    return Tally(tries=found.verdicts.total(), more=str(found), breaches=found.breaches)


async def _kills(data: Path, seed: int, seconds: float) -> Tally:
    found = await kills.kills(data, seed, 50)
    return Tally(tries=found.kills, more=str(found), breaches=found.breaches)


async def _parsed(data: Path, seed: int, seconds: float) -> Tally:
    found = await asyncio.to_thread(hostile.parse, seed, 100_000)
    return Tally(tries=found.tried, more=str(found), breaches=found.breaches)


async def _guided(data: Path, seed: int, seconds: float) -> Tally:
    tries, breaches = await guided.guided(data, seed, min(GUIDED, seconds))
    return Tally(tries=tries, breaches=breaches)


async def _sent(data: Path, seed: int, seconds: float) -> Tally:
    found = await hostile.send(data, seed, 10_000)
    return Tally(tries=found.sent, more=str(found), breaches=found.breaches)


async def _churn(data: Path, seed: int, seconds: float) -> Tally:
    lasts = min(CHURN, max(SHORTEST_CHURN, seconds - churn.SETTLED))
    found = await churn.churn(data, seed, events=int(lasts * 3334), seconds=lasts)
    return Tally(tries=found.events, more=str(found), breaches=found.breaches)


async def _upkeep(data: Path, seed: int, seconds: float) -> Tally:
    found = await upkeep.upkeep(data, seed, seconds)
    return Tally(tries=found.kills, more=str(found), breaches=found.breaches)


PARTS = (
    Part(name="kill -9", what="kills", planned=1000, minutes=9, run=_kills),
    Part(name="power loss", what="power cuts", planned=10_000, minutes=26, run=_power),
    Part(name="housekeeping", what="kills and power cuts", planned=150, minutes=2, run=_keeping),
    Part(name="failing disk", what="failures", planned=480, minutes=2, run=_disk),
    Part(name="failing calls", what="system calls", planned=50, minutes=4, run=_calls),
    Part(name="bit flips", what="flipped bits", planned=4000, minutes=4, run=_flips),
    Part(name="hostile bytes, parsed", what="requests", planned=1_000_000, minutes=2, run=_parsed),
    Part(name="hostile bytes, guided", what="requests", planned=500_000, minutes=2, run=_guided),
    Part(name="hostile bytes, sent", what="requests", planned=100_000, minutes=2, run=_sent),
    Part(name="churn", what="events", planned=1_000_000, minutes=7, run=_churn),
)
"""Their minutes add up to the hour."""

BESIDE = Part(
    name="retention and compaction", what="kills", planned=200, minutes=MINUTES, run=_upkeep
)
"""What goes on beside all of them, in a process of its own."""

_NEEDS: dict[Run, tuple[Callable[[], bool], str]] = {
    _power: (reachable, "no layer can be put under this Python's SQLite"),
    _keeping: (reachable, "no layer can be put under this Python's SQLite"),
    _disk: (reachable, "no layer can be put under this Python's SQLite"),
    _calls: (injected.permitted, "strace is missing or may not trace"),
    _guided: (guided.installed, "atheris is not installed"),
}
"""What can be impossible somewhere, and the sentence for it."""


def _always() -> bool:
    return True


def campaign(minutes: float, seed: int, say: Callable[[str], None]) -> Iterator[Result]:
    """Run every part, each until it has tried enough or its share of the time is over.

    What a part leaves of its share is the next one's. What goes on beside them comes last.

    Args:
        minutes: of all parts together.
        seed: settles everything that is chosen.
        say: told what goes on.
    """
    with ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn"), initializer=_ends_with, initargs=(os.getpid(),)
    ) as other:
        beside = other.submit(_tried, BESIDE, minutes * 60, seed)
        until = time.monotonic()
        for part in PARTS:
            until += part.minutes * minutes / MINUTES * 60
            possible, why = _NEEDS.get(part.run, (_always, ""))
            if not possible():
                say(f"{part.name}: left out: {why}")
                continue
            result = _tried(part, until - time.monotonic(), seed)
            _tell(result, say)
            yield result
        _tell(last := beside.result(), say)
        yield last


def _ends_with(parent: int) -> None:
    end_with_parent(parent)()


def _tell(result: Result, say: Callable[[str], None]) -> None:
    say(str(result))
    for breach in result.breaches:
        say(f"{result.part.name}: broken: {breach}")


def _tried(part: Part, seconds: float, seed: int) -> Result:
    started, rounds = time.monotonic(), random.Random(f"{seed} {part.name}")
    tries, more, breaches = 0, list[str](), list[str]()
    longest = 0.0
    while not breaches and tries < part.planned:
        begun = time.monotonic()
        if tries and begun + longest > started + seconds:
            break
        number = rounds.randrange(2**31)
        try:
            with TemporaryDirectory() as folder:
                left = started + seconds - begun
                found = asyncio.run(part.run(Path(folder), number, left))
        except (BusError, ExceptionGroup, RuntimeError, TimeoutError) as error:
            breaches.append(f"seed {number}: {error!r}")
            break
        tries += found.tries
        more += [found.more] * bool(found.more)
        breaches += found.breaches
        longest = max(longest, time.monotonic() - begun)
    return Result(
        part=part,
        tries=tries,
        seconds=time.monotonic() - started,
        more=tuple(more),
        breaches=tuple(breaches),
    )
