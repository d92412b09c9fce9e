"""The process that compacts: ``python -m bus.broker.compaction.process DATABASE``.

It reads the database and writes nothing: what rows become goes back through a pipe, a step at a
time, and the broker's writer puts it in place. It ends when its standard input does, which is when
the broker ends, whatever of.
"""

import ctypes
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bus.broker.compaction.cleaner import Cleaner, Facts, Keys
from bus.broker.compaction.messages import Answer, Done, Failed, Order, Step, order_of, send
from bus.broker.compression import Unreadable
from bus.broker.storage.cleaning import CleaningReader
from bus.broker.storage.log import Damaged, SealedRow
from bus.broker.storage.reader import Gone

STEP_BYTES = 2**19  # of rows that are put in place with one commit
_PR_SET_PDEATHSIG = 1
_LOOK_AGAIN_MS = 60_000  # where too little is old enough: how much there is has to be counted
_NICE = 15  # so that it yields to the broker where both want the processor


def serve(reader: CleaningReader, orders: BinaryIO, answers: BinaryIO) -> None:
    """Do what is ordered until there are no more orders."""
    for line in orders:
        for answer in compacted(reader, order_of(line)):
            send(answers, answer)


def compacted(reader: CleaningReader, order: Order) -> Iterator[Answer]:
    """Yield the steps that compact a partition, and then that it is done, or why it cannot be."""
    try:
        young = order.now - order.least if order.least else None
        end, again = reader.cleanable(order.partition, order.cleaned, order.end, young)
        if again >= 0:
            again += order.least
            dirty = reader.size(order.partition, order.cleaned, end)
            if dirty <= order.ratio * (order.clean + dirty):
                yield Done(order.cleaned, max(again, order.now + _LOOK_AGAIN_MS))
                return
        vain, newest = reader.facts(order.partition)
        facts = Facts(order.now, order.delete_retention, vain, newest)
        keys, end = _learned(reader, order, end, facts)
        if end > order.cleaned:
            yield from _steps(reader, order, end, Cleaner(keys, facts))
        yield Done(end, again)
    except Gone:
        yield Done(order.cleaned, -1)
    except (Damaged, Unreadable, IndexError, sqlite3.Error) as error:
        yield Failed(str(error), isinstance(error, Damaged))


def _learned(reader: CleaningReader, order: Order, end: int, facts: Facts) -> tuple[Keys, int]:
    """Return the keys of what was not compacted yet, and up to where there was room for them."""
    keys = Keys(order.keys)
    for row in reader.rows(order.partition, order.cleaned, end):
        if not keys.learn(row.batches, facts):
            return keys, row.base
    return keys, end


@dataclass(slots=True)
class _Run:
    """Rows that become one."""

    rows: list[SealedRow] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    unmarked: list[int] = field(default_factory=list)
    newest: int = -1
    read: int = 0
    changed: bool = False

    def step(self) -> Iterator[Step]:
        """Yield what puts them in place, if they are not as they were."""
        if self.changed or len(self.rows) > 1:
            yield Step(
                tuple((row.base, row.seal) for row in self.rows),
                self.rows[-1].next,
                self.newest,
                tuple(self.unmarked),
                b"".join(self.pieces),
            )


def _steps(reader: CleaningReader, order: Order, end: int, cleaner: Cleaner) -> Iterator[Step]:
    run = _Run()
    for row in reader.rows(order.partition, order.start, end):
        if run.rows and run.read + len(row.batches) > STEP_BYTES:
            yield from run.step()
            run = _Run()
        cleaned = cleaner.clean(row.batches)
        run.rows.append(row)
        run.pieces.append(cleaned.batches)
        run.unmarked += cleaned.unmarked
        if cleaned.batches:
            run.newest = max(run.newest, cleaned.newest if cleaned.newest >= 0 else row.newest)
        run.read += len(row.batches)
        run.changed |= cleaned.changed
    if run.rows:
        yield from run.step()


def _end_with_parent() -> None:
    """Have the kernel end this process with its parent, whatever it is doing (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the node, which ends this
    os.nice(_NICE)
    with suppress(BrokenPipeError):  # the broker ended; nobody wants to know
        serve(CleaningReader(Path(sys.argv[1])), sys.stdin.buffer, sys.stdout.buffer)
    os._exit(0)  # without a last word into the pipe
