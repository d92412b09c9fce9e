"""Kill a broker, or cut its power, in the middle of each kind of housekeeping."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest.mock import patch

from bus.broker import housekeeping
from bus.broker.check import check
from bus.broker.compaction import shell
from bus.broker.housekeeping import Housekeeping
from bus.broker.storage.database import NAME
from bus.broker.trimming import Trimming
from bus.errors import BusError
from ops.torture.broker.client import Client
from ops.torture.broker.disk import Change, Disk
from ops.torture.broker.kept import ALL, DELETED, Account, Event, Writer, as_told, shrunk
from ops.torture.broker.opened import local, structure
from ops.torture.broker.power import Machine, Outcome
from ops.torture.broker.reading import Unreadable

STEPS = {
    "retention": (Trimming, "_delete"),
    "DeleteRecords": (Trimming, "_behead"),
    "compaction": (Housekeeping, "_replace"),
    "a topic's deletion": (Housekeeping, "_purge"),
    "the return of space": (Housekeeping, "_shrink"),
    "the folding of the log": (Housekeeping, "_fold"),
}
"""What is cut into, and the method that does it."""

SETTLED = 1_900_000
"""Bytes of the database once all is deleted, compacted and given back, at the most; it had twice
as many."""

_ROUNDS = 30
_PATIENCE = 20.0  # seconds until it is
_UNPACKED = 2**24


class Within(NamedTuple):
    """A step that begins, or that has ended."""

    step: str
    begins: bool


class Recording(NamedTuple):
    """The files of a broker before, and what happened then."""

    before: dict[str, bytes]
    happened: Sequence[Change | Event | Within]


@contextmanager
def _noted(note: Callable[[Within], None]) -> Iterator[None]:
    """Note when a step of housekeeping begins and ends, and let all follow quickly."""

    def around(step: str, usual: Callable[..., Any]) -> Callable[..., Any]:
        def done(*arguments: Any) -> Any:
            note(Within(step, begins=True))
            try:
                return usual(*arguments)
            finally:
                note(Within(step, begins=False))

        return done

    with ExitStack() as stack:
        for step, (owner, name) in STEPS.items():
            usual = getattr(owner, name)
            stack.enter_context(patch.object(owner, name, around(step, usual)))
        for name in ("FOLD_AFTER", "FOLD_AGAIN", "TRY_AGAIN"):
            stack.enter_context(patch.object(housekeeping, name, 0.1))
        stack.enter_context(patch.object(shell, "_AGAIN_MS", 50))
        yield


def _files(data: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in data.glob(NAME + "*")}


async def record(data: Path, seed: int) -> Recording:
    """Run a broker that deletes and compacts while it is written to; write down what happens.

    Args:
        data: an empty folder.
        seed: settles what is written.
    """
    async with local(data):
        pass
    before = _files(data)
    happened: list[Change | Event | Within] = []
    with Disk(data, happened.append), _noted(happened.append):
        async with local(data) as broker:
            client = await Client.to(lambda: broker.address)
            writer = Writer(client, random.Random(seed), happened.append)
            await writer.prepare()
            for number in range(_ROUNDS):
                await writer.round(number, last=_ROUNDS - 1)
            await _settled(client, data)
            client.close()
    return Recording(before, happened)


async def _settled(client: Client, data: Path) -> None:
    """Wait until all is deleted, compacted and given back.

    Raises:
        TimeoutError: it is not.
    """
    async with asyncio.timeout(_PATIENCE):
        while not (await shrunk(client) and (data / NAME).stat().st_size <= SETTLED):  # noqa: ASYNC110  # each look is a request
            await asyncio.sleep(0.02)


def moments(recording: Recording) -> dict[str, list[int]]:
    """Return, by step, the moments at which it had changed something and was not done."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    changed: dict[str, bool] = {}
    for moment, happened in enumerate(recording.happened):
        if isinstance(happened, Within):
            if happened.begins:
                changed[happened.step] = False
            else:
                changed.pop(happened.step, None)
        elif isinstance(happened, Change):
            for step, begun in changed.items():
                if begun:
                    found[step].append(moment)
                changed[step] = True
    return found


async def cut(recording: Recording, data: Path, seed: int, each: int) -> Outcome:
    """Kill the broker or cut its power so often in each step, and judge what is there.

    Args:
        recording: what happened when.
        data: an empty folder; folders in it are removed once judged.
        seed: settles when, and what is left.
        each: how often.
    """
    choose = random.Random(seed)
    within = {
        moment: step
        for step, found in moments(recording).items()
        for moment in choose.sample(found, min(each, len(found)))
    }
    machine, account, breaches, at = Machine(recording.before), Account(), list[str](), 0
    acknowledged = 0
    for moment, step in sorted(within.items()):
        for happened in recording.happened[at:moment]:
            if isinstance(happened, Change):
                machine.did(happened)
            elif not isinstance(happened, Within):
                account.note(happened)
        at = moment
        acknowledged += account.acknowledged
        killed = choose.random() < 0.5
        files = machine.after_kill() if killed else machine.after_power_cut(choose)
        with TemporaryDirectory(dir=data) as folder:
            for name, content in files.items():
                (Path(folder) / Path(name).name).write_bytes(content)
            found = await judged(Path(folder), account)
        what = "killed" if killed else "power cut"
        breaches += [f"seed {seed}, {what} at {moment}, within {step}: {one}" for one in found]
    return Outcome(cuts=len(within), acknowledged=acknowledged, breaches=tuple(breaches))


async def judged(data: Path, account: Account) -> list[str]:
    """Start a broker on what is left, let it go on with its housekeeping, and judge both."""
    with _noted(lambda _: None):
        try:
            async with local(data) as broker:
                client = await Client.to(lambda: broker.address)
                try:
                    breaches = await as_told(client, account)
                    account = replace(account, removing=account.removing | {DELETED: ALL})
                    await _settled(client, data)
                    breaches += await as_told(client, account)
                finally:
                    client.close()
        except TimeoutError:
            return ["what had its time is still there, or the space that it took"]
        except (BusError, Unreadable) as error:
            return [str(error)]
    report = check(data / NAME, max_unpacked=_UNPACKED)
    return [*breaches, *map(str, report.damage), *structure(data)]


async def keeping(data: Path, seed: int, each: int) -> Outcome:
    """Record a broker's housekeeping, and cut into it again and again.

    Args:
        data: an empty folder.
        seed: settles what is written, when it is cut into and what is left.
        each: how often, in each step.
    """
    (data / "recorded").mkdir()
    (data / "cut").mkdir()
    return await cut(await record(data / "recorded", seed), data / "cut", seed, each)
