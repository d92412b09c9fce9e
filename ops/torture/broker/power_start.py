"""Cut the power while a broker starts: for the first time, or on a database of an older version."""

import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from bus.broker.storage.database import NAME
from bus.errors import BusError
from ops.torture.broker.account import Created, Event, Sent, Stored
from ops.torture.broker.client import Client, batch, produce
from ops.torture.broker.disk import Change, Disk, Write
from ops.torture.broker.load import TOPIC
from ops.torture.broker.names import names
from ops.torture.broker.opened import local, prepared, structure
from ops.torture.broker.power import Machine, Outcome, Recording
from ops.torture.broker.reading import Unreadable, entries, topics_of

RECORDS = 3
"""Records that are acknowledged in a broker's first life."""

Judge = Callable[[Path, Sequence[Event]], Awaitable[list[str]]]


async def started(data: Path) -> Recording:
    """Start a broker, write a little, and stop it; write down what reaches the disk.

    Args:
        data: its folder: empty, or with a database in it.
    """
    before = _files(data)
    happened: list[Change | Event] = []
    with Disk(data, happened.append), names(data, happened.append):
        async with local(data) as broker:
            if not before:
                await prepared(lambda: broker.address)
                happened.append(Created(TOPIC))
                await _write(await Client.to(lambda: broker.address), happened.append)
    return Recording(before, happened)


def _files(data: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in data.glob(NAME + "*")}


async def _write(client: Client, note: Callable[[Event], None]) -> None:
    for number in range(RECORDS):
        value = b"%d" % number
        note(Sent(0, value))
        answer = await client.ask(ApiKey.PRODUCE, 9, **produce(TOPIC, {0: batch(value)}))
        part = answer.responses[0].partition_responses[0]
        assert part.error_code is ErrorCode.none, part
        note(Stored(0, value, part.base_offset))
    client.close()


async def cut(
    recording: Recording, data: Path, seed: int, judge: Judge, *, every: bool = False
) -> Outcome:
    """Cut the power at each moment of a start, and judge what is left.

    Args:
        recording: what was written when.
        data: an empty folder; folders in it are removed once judged.
        seed: settles what of the unsynced bytes is left.
        judge: told the folder, and what was done before; returns a sentence for each promise that
            was not kept.
        every: also within a row of writes that nothing but the last sync sets apart.
    """
    choose = random.Random(seed)
    machine, breaches = Machine(recording.before), list[str]()
    cuts = acknowledged = 0
    for moment, told in _moments(recording, machine, every=every):
        cuts += 1
        acknowledged += sum(isinstance(one, Stored | Created) for one in told)
        with TemporaryDirectory(dir=data) as folder:
            for name, content in machine.after_power_cut(choose).items():
                (Path(folder) / Path(name).name).write_bytes(content)
            found = await judge(Path(folder), told)
        breaches += [f"seed {seed}, cut at {moment}: {one}" for one in found]
    return Outcome(cuts=cuts, acknowledged=acknowledged, breaches=tuple(breaches))


def _moments(
    recording: Recording, machine: Machine, *, every: bool
) -> Iterator[tuple[int, list[Event]]]:
    """Let a machine do what was recorded, and stop before and after whatever is no mere write."""
    told: list[Event] = []
    yielded = -1
    for moment, happened in enumerate(recording.happened):
        if (every or not isinstance(happened, Write)) and yielded != moment:
            yield moment, told
        if isinstance(happened, Change):
            machine.did(happened)
        else:
            told.append(happened)
        if not isinstance(happened, Write):
            yielded = moment + 1
            yield yielded, told


async def judged(data: Path, told: Sequence[Event]) -> list[str]:
    """Start a broker on what is left of a first start; return what is not as it was promised."""
    try:
        async with local(data) as broker:
            client = await Client.to(lambda: broker.address)
            try:
                breaches = await _missing(client, told)
            finally:
                client.close()
    except (BusError, Unreadable) as error:
        return [str(error)]
    return [*breaches, *structure(data)]


async def _missing(client: Client, told: Sequence[Event]) -> list[str]:
    if TOPIC not in await topics_of(client):
        return ["the topic is lost"] if Created(TOPIC) in told else []
    there = [(one.offset, one.value) for one in await entries(client, TOPIC, 0)]
    sent = [one.value for one in told if isinstance(one, Sent)]
    stored = sum(isinstance(one, Stored) for one in told)
    if there != list(enumerate(sent))[: len(there)] or len(there) < stored:
        return [f"{stored} of {sent} were acknowledged, {there} is there"]
    return []


async def first_start(data: Path, seed: int) -> Outcome:
    """Record a broker's first start and cut the power at each moment of it.

    Args:
        data: an empty folder.
        seed: settles what is left.
    """
    (data / "recorded").mkdir()
    (data / "cut").mkdir()
    recording = await started(data / "recorded")
    return await cut(recording, data / "cut", seed, judged)
