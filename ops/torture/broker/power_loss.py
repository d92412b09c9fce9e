"""Cut the power: of what was written and not synced, some is there and some is not."""

import random
from pathlib import Path
from tempfile import TemporaryDirectory

from bus.broker.storage.database import NAME
from ops.torture.broker.account import Account, Event
from ops.torture.broker.disk import Change, Disk
from ops.torture.broker.load import Load, at_work
from ops.torture.broker.opened import local, prepared, reopened
from ops.torture.broker.power import Machine, Outcome, Recording
from ops.torture.broker.power_start import first_start

CUTS = 50
"""Power cuts that are tried of one recording."""

_STARTS = 5

ACKNOWLEDGED = 120
"""Batches that are acknowledged in each of the two lives of a recorded broker, at the least."""


async def record(data: Path, seed: int) -> Recording:
    """Run a broker under load, stop it and run it again, and write down what reaches the disk.

    Args:
        data: an empty folder.
        seed: settles what is written.
    """
    async with local(data) as broker:
        await prepared(lambda: broker.address)
    before = _files(data)
    happened: list[Change | Event] = []
    with Disk(data, happened.append):
        for life in range(2):
            async with local(data) as broker:
                load = Load(
                    lambda: broker.address,
                    happened.append,
                    seed * 2 + life,
                    large=4000,
                    name=f"{life}.",
                )
                async with at_work(load):
                    await load.reached("batches", ACKNOWLEDGED)
    return Recording(before, happened)


def _files(data: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in data.glob(NAME + "*")}


async def cut(recording: Recording, data: Path, seed: int, cuts: int = CUTS) -> Outcome:
    """Cut the power at random moments of a recording, and judge what a broker then has.

    Args:
        recording: what was written when.
        data: an empty folder; folders in it are removed once judged.
        seed: settles when, and what of the unsynced bytes is left.
        cuts: how often.
    """
    choose = random.Random(seed)
    moments = sorted(choose.randrange(len(recording.happened)) for _ in range(cuts))
    machine, account = Machine(recording.before), Account()
    breaches: list[str] = []
    at = acknowledged = 0
    for moment in moments:
        for happened in recording.happened[at:moment]:
            if isinstance(happened, Change):
                machine.did(happened)
            else:
                account.note(happened)
        at = moment
        acknowledged += account.acknowledged
        with TemporaryDirectory(dir=data) as folder:
            for name, content in machine.after_power_cut(choose).items():
                (Path(folder) / Path(name).name).write_bytes(content)
            found = await reopened(Path(folder), account)
        breaches += [f"seed {seed}, cut at {moment}: {one}" for one in found]
    return Outcome(cuts=cuts, acknowledged=acknowledged, breaches=tuple(breaches))


async def under_load(data: Path, seed: int, *, cuts: int = CUTS) -> Outcome:
    """Record a broker under load and cut its power again and again.

    Args:
        data: an empty folder.
        seed: settles what is written, when the power is cut and what is left.
        cuts: how often.
    """
    (data / "recorded").mkdir()
    (data / "cut").mkdir()
    recording = await record(data / "recorded", seed)
    return await cut(recording, data / "cut", seed, cuts)


async def power_loss(data: Path, seed: int) -> Outcome:
    """Cut a broker's power again and again: under load, or, one time in five, at its first start.

    Args:
        data: an empty folder.
        seed: settles which, what is written, when the power is cut and what is left.
    """
    if seed % _STARTS == 0:
        return await first_start(data, seed)
    return await under_load(data, seed)
