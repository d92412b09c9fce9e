"""What one viewer has seen of a topic: nothing that was read goes uncounted."""

import re
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bus.errors import BusError
from bus.portal.tailing.line import Filter, Line

MOST_ROWS = 200
"""Events that wait for a viewer, and rows of the page."""

MOST_PARTITIONS = 1000

_POSITION = re.compile(r"(\d{1,10}):(\d{1,19})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What is new for a viewer.

    Args:
        lines: to be shown, in the order in which they were read.
        skipped: events that were not looked at or are not shown, as there were too many.
        filtered: events that were not wanted.
        positions: by partition, the offset after the last one that was counted.
        again: lines that were shown undecoded before.
        trouble: why nothing more can be read for now; None if it can.
    """

    lines: tuple[Line, ...]
    skipped: int
    filtered: int
    positions: Mapping[int, int]
    trouble: BusError | None = None
    again: tuple[Line, ...] = ()


@dataclass(eq=False, slots=True)
class Follower:
    """A viewer of a topic, who may be slow: what waits is bounded, what it has missed is counted.

    Every record that was read from where it began is shown, skipped or filtered. Fed by the
    thread that reads, emptied by another.

    Args:
        wanted: which events it wants to see.
    """

    wanted: Filter = field(default_factory=Filter)
    _at: dict[int, int] = field(default_factory=dict)
    _lines: deque[Line] = field(default_factory=deque)
    _skipped: int = 0
    _filtered: int = 0
    _trouble: BusError | None = None
    _again: deque[Line] = field(default_factory=lambda: deque(maxlen=MOST_ROWS))
    _news: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, positions: Mapping[int, int]) -> None:
        """Say where it begins, by partition."""
        with self._lock:
            self._at = dict(positions)
            self._news = True

    def take(self, lines: Iterable[Line]) -> None:
        """Take what was read; what it had before is left out."""
        with self._lock:
            for line in lines:
                if line.offset < self._at.get(line.partition, 0):
                    continue
                self._at[line.partition] = line.offset + 1
                self._news = True
                if not self.wanted.holds(line):
                    self._filtered += 1
                    continue
                if len(self._lines) >= MOST_ROWS:
                    self._lines.popleft()
                    self._skipped += 1
                self._lines.append(line)

    def pass_over(self, partition: int, offsets: Sequence[int]) -> None:
        """Count records that were read and are not shown, as there were too many."""
        with self._lock:
            at = self._at.get(partition, 0)
            self._skipped += sum(offset >= at for offset in offsets)
            self._at[partition] = max(at, offsets[-1] + 1)
            self._news = True

    def jump(self, partition: int, offset: int) -> None:
        """Go on at an offset: what lies before it cannot be had any more, and counts as skipped."""
        with self._lock:
            missed = offset - self._at.get(partition, offset)
            self._at[partition] = offset
            self._skipped += max(missed, 0)
            self._news = True

    def take_again(self, lines: Sequence[Line]) -> None:
        """Take lines that can be decoded by now; who filters does without, as they are counted."""
        if not self.wanted.is_empty:
            return
        made = {(line.partition, line.offset): line for line in lines}
        with self._lock:
            waiting = [made.pop((line.partition, line.offset), line) for line in self._lines]
            self._lines = deque(waiting)
            self._again.extend(made.values())
            self._news = True

    def tell(self, trouble: BusError | None) -> None:
        """Say why nothing can be read; None if it can."""
        with self._lock:
            self._news = self._news or str(trouble) != str(self._trouble)
            self._trouble = trouble

    def drain(self) -> Update | None:
        """Return what is new since the last time; None if nothing is."""
        with self._lock:
            if not self._news:
                return None
            update = Update(
                lines=tuple(self._lines),
                skipped=self._skipped,
                filtered=self._filtered,
                positions=dict(self._at),
                trouble=self._trouble,
                again=tuple(self._again),
            )
            self._lines.clear()
            self._again.clear()
            self._skipped = self._filtered = 0
            self._news = False
            return update


def write_positions(positions: Mapping[int, int]) -> str:
    """Return positions as the id of a stream's event: ``0:12,1:7``."""
    return ",".join(f"{partition}:{offset}" for partition, offset in sorted(positions.items()))


def read_positions(text: str) -> dict[int, int]:
    """Return positions from the id of a stream's event; none if it is no such id."""
    found = {}
    for part in text.split(",")[:MOST_PARTITIONS]:
        match = _POSITION.fullmatch(part)
        if match is None:
            return {}
        found[int(match[1])] = int(match[2])
    return found
