"""What is left of a file, at the pace of its own timestamps."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from bus.errors import InvalidInput
from bus.event import Draft
from producers.position import Positions
from producers.traffic.observation import Line, Observation, lines

LARGEST = 500

Refuse = Callable[[InvalidInput], None]
Announce = Callable[[Observation], Draft]


class Replay:
    """A source of events that also says when they are due.

    What was observed at one time is one batch, and due so long after the first batch of this run as
    it was observed after it, divided by the speed. So a run that goes on where another one stopped
    does not wait for what lies behind it.

    Args:
        path: the file; its position is kept by its name.
        positions: how far it is done.
        speed: seconds of the file that pass in one second.
        announce: makes an event of an observation.
        refuse: called with each row that cannot be used, when its turn comes.

    Raises:
        InvalidInput: the file cannot be used as a whole, or is shorter than what is done of it.
    """

    size = LARGEST
    """Events in a batch, at the most."""

    def __init__(
        self, path: Path, positions: Positions, speed: float, announce: Announce, refuse: Refuse
    ) -> None:
        self._path, self._positions, self._speed = path, positions, speed
        self._announce, self._refuse = announce, refuse
        self._left = self._unread(positions.of(path.name))
        self._next = next(self._left, None)
        self._first: datetime | None = self._next[1].at if self._next else None
        self._taken = 0

    def due(self, batch: int) -> float:
        """Return when the next batch is due, in seconds after the first of this run."""
        if self._next is None or self._first is None:
            return 0.0
        return (self._next[1].at - self._first).total_seconds() / self._speed

    def take(self, most: int) -> Sequence[Draft]:
        """Return events of what was observed at the same time; none at the end."""
        drafts: list[Draft] = []
        at = self._next[1].at if self._next else None
        while self._next is not None and self._next[1].at == at and len(drafts) < most:
            self._taken, seen = self._next
            drafts.append(self._announce(seen))
            self._next = next(self._left, None)
        return drafts

    def settle(self) -> None:
        """Keep that the bus has acknowledged what was taken last."""
        self._positions.advance(self._path.name, self._taken)

    def _unread(self, done: int) -> Iterator[tuple[int, Observation]]:
        """Yield what is left, each with the rows that are done after it."""
        rows = 0
        for line in lines(self._path):
            rows = line.row + 1
            if rows > done and (seen := self._usable(line)):
                yield rows, seen
        if rows < done:
            raise InvalidInput(
                f"has {rows} rows, but {done} were published already",
                where=str(self._path),
                remedy="give the complete file, or another state file if this is another file",
            )

    def _usable(self, line: Line) -> Observation | None:
        if line.refusal:
            self._refuse(line.refusal)
        return line.observation
