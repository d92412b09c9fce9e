"""What a disk may hold after a power cut, from what was written to it and synced before: pure.

Of what was not synced every 512 bytes may be there or not, whatever their order, or be noise; a
name may be there or not, with all names before it. What was synced is there.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ops.torture.broker.account import Event
from ops.torture.broker.disk import (
    Change,
    Create,
    Delete,
    Rename,
    Sync,
    SyncNames,
    Truncate,
    Write,
)

SECTOR = 512
_LOGS = ("-wal", "-journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a campaign found.

    Attributes:
        cuts: how often the power was cut.
        acknowledged: records, positions and transactions before those cuts, of all of them.
        breaches: promises that were not kept.
    """

    cuts: int
    acknowledged: int
    breaches: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.cuts} power cuts, {self.acknowledged} things acknowledged before them, "
            f"{len(self.breaches)} promises broken"
        )


class Recording(NamedTuple):
    """The files of a broker before, and what happened then, on the disk and with its clients."""

    before: dict[str, bytes]
    happened: Sequence[Change | Event]


@dataclass(slots=True)
class _Content:
    """A file: its bytes that are safe, and what was done to it since."""

    safe: bytearray
    pending: list[Write | Truncate] = field(default_factory=list)

    def settle(self) -> None:
        for change in self.pending:
            _apply(self.safe, change)
        self.pending.clear()


class Machine:
    """A disk while it is written to.

    Args:
        files: what was on it before, by path, all of it safe.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self._safe = {name: _Content(bytearray(data)) for name, data in files.items()}
        self._now = dict(self._safe)
        # Not safe yet: made (or renamed, in one step), or removed.
        self._names: list[Mapping[str, _Content | None]] = []

    def did(self, change: Change) -> None:
        """Take note of one change."""
        match change:
            case Create(name):
                made = _Content(bytearray())
                self._now[name] = made
                self._names.append({name: made})
            case Delete(name, synced):
                self._now.pop(name, None)
                self._names.append({name: None})
                if synced:
                    self._settle_names()
            case Rename(name, to):
                self._now[to] = self._now.pop(name)
                self._names.append({name: None, to: self._now[to]})
            case SyncNames():
                self._settle_names()
            case Write(name) | Truncate(name):
                self._now[name].pending.append(change)
            case Sync(name):
                self._now[name].settle()
                # SQLite syncs the folder with the first sync of a log that it has made.
                if name.endswith(_LOGS) and any(name in change for change in self._names):
                    self._settle_names()

    def after_power_cut(self, choose: random.Random) -> dict[str, bytes]:
        """Return files as they may be found, by path; the machine itself goes on."""
        survives = _mood(choose)
        names = dict(self._safe)
        for change in self._names[: choose.randint(0, len(self._names))]:
            _rename(names, change)
        return {name: _torn(content, survives, choose) for name, content in names.items()}

    def after_kill(self) -> dict[str, bytes]:
        """Return files as they are found where only the process has gone, by path."""
        return {name: _torn(content, Mood(1, 0), _NOTHING) for name, content in self._now.items()}

    def _settle_names(self) -> None:
        for change in self._names:
            _rename(self._safe, change)
        self._names.clear()


class Mood(NamedTuple):
    """How a disk treats what was not synced: a piece's chance to be there, and to be noise."""

    kept: float
    noise: float


_NOTHING = random.Random(0)  # is left to chance


def _mood(choose: random.Random) -> Mood:
    moods = (Mood(0, 0), Mood(1, 0), Mood(0.5, 0), Mood(0.9, 0), Mood(0.1, 0), Mood(0.7, 0.3))
    return choose.choice(moods)


def _rename(names: dict[str, _Content], change: Mapping[str, _Content | None]) -> None:
    for name, content in change.items():
        if content is None:
            names.pop(name, None)
        else:
            names[name] = content


def _torn(content: _Content, mood: Mood, choose: random.Random) -> bytes:
    found = bytearray(content.safe)
    for change in content.pending:
        pieces: Iterable[Write | Truncate] = (
            _sectors(change) if isinstance(change, Write) else (change,)
        )
        for piece in pieces:
            if choose.random() < mood.kept:
                _apply(found, piece)
            elif isinstance(piece, Write) and choose.random() < mood.noise:
                _apply(found, piece._replace(data=choose.randbytes(len(piece.data))))
    return bytes(found)


def _sectors(write: Write) -> Sequence[Write]:
    """Return a write in pieces that the disk writes whole."""
    pieces, at = [], 0
    while at < len(write.data):
        size = SECTOR - (write.offset + at) % SECTOR
        piece = write.data[at : at + size]
        pieces.append(Write(write.file, write.offset + at, piece))
        at += len(piece)
    return pieces


def _apply(content: bytearray, change: Write | Truncate) -> None:
    if isinstance(change, Truncate):
        del content[change.size :]
        return
    if len(content) < change.offset:
        content.extend(bytes(change.offset - len(content)))
    content[change.offset : change.offset + len(change.data)] = change.data
