"""The readings of several stations in the order of time, from where the last run stopped."""

from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bus.errors import InvalidInput
from producers.counts.position import Positions
from producers.counts.station import Line, Reading, channels, lines

Refuse = Callable[[InvalidInput], None]


class Cell(NamedTuple):
    """One reading, and the position in its file once it is done."""

    file: str
    channels: str
    cells: int
    reading: Reading


def feed(
    paths: Sequence[Path], positions: Positions, zone: ZoneInfo, refuse: Refuse
) -> Iterator[Cell]:
    """Return an iterator over what has not been acknowledged yet.

    Args:
        paths: the stations' files.
        positions: how far each has been read.
        zone: the time zone of the files' local times.
        refuse: called with each row that cannot be used, when its turn comes.

    Raises:
        InvalidInput: a file cannot be used as a whole, two have the same name, or one is not the
            one that was read before (now, for what the first lines show; later, for the rest).
    """
    _check_names(paths)
    files = [_File(path, positions) for path in paths]
    return _flat(merge(*(file.lines(zone) for file in files), key=_time), refuse)


class _File:
    """One station's file, and how far it is done."""

    def __init__(self, path: Path, positions: Positions) -> None:
        self.path = path
        self.channels = ",".join(channel.id for channel in channels(path))
        self.width = self.channels.count(",") + 1
        before, self.done = positions.of(path.name) or (self.channels, 0)
        if before != self.channels:
            raise InvalidInput(
                f"has the channels {self.channels}, but had {before} when it was read last",
                where=f"{path}:1",
                remedy="give another state file if this is another file",
            )

    def lines(self, zone: ZoneInfo) -> Iterator[tuple["_File", Line]]:
        rows = 0
        for line in lines(self.path, zone):
            rows += 1
            if (line.row + 1) * self.width > self.done:
                yield self, line
        if rows * self.width < self.done:
            raise InvalidInput(
                f"has {rows} rows, but {self.done // self.width} were published already",
                where=str(self.path),
                remedy="give the complete file, or another state file if this is another file",
            )


def _check_names(paths: Sequence[Path]) -> None:
    names = [path.name for path in paths]
    for path in paths:
        if names.count(path.name) > 1:
            raise InvalidInput(
                "another file has the same name",
                where=str(path),
                remedy="positions are kept by name; rename one of them",
            )


def _time(item: tuple[_File, Line]) -> float:
    _, line = item
    return line.at.timestamp() if line.at else 0.0


def _flat(items: Iterator[tuple[_File, Line]], refuse: Refuse) -> Iterator[Cell]:
    for file, line in items:
        if line.refusal:
            refuse(line.refusal)
        for column, reading in enumerate(line.readings):
            cells = line.row * file.width + column + 1
            if cells > file.done:
                yield Cell(file.path.name, file.channels, cells, reading)
