"""Which rows of a recording stand out of its order of time: one with a wrong year, say. Pure.

Rows come in order of time, so one that is years ahead looks like the truth until others go on where
it left. Until it is clear which of two stretches of rows is the recording, both are kept back.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

HOLE = timedelta(days=31)
"""A recording that stands still for longer has to go on for `BORNE_OUT` rows."""

BORNE_OUT = 100
"""Rows in order after which a stretch of them is the recording for sure."""

BACK = "is before the time of the row before"
AWAY = f"is more than {HOLE.days} days away from the rows around it"

Row = TypeVar("Row")


@dataclass(slots=True)
class _Stretch:
    """Rows in order without a hole: the time of its last one, and how many there are."""

    last: datetime
    rows: int = 1

    def leads_to(self, at: datetime) -> bool:
        return timedelta(0) <= at - self.last <= HOLE

    def go_on(self, at: datetime) -> None:
        self.last, self.rows = at, self.rows + 1

    @property
    def borne_out(self) -> bool:
        return self.rows >= BORNE_OUT


class _Waiting(NamedTuple, Generic[Row]):
    row: Row
    of: _Stretch | None


@dataclass(slots=True)
class _Order(Generic[Row]):
    """Two stretches at the most, and the rows that are kept back, in the order of the file."""

    refused: Callable[[Row, str], Row]
    settled: _Stretch | None = None
    other: _Stretch | None = None
    waiting: list[_Waiting[Row]] = field(default_factory=list)

    def take(self, row: Row, at: datetime | None) -> None:
        """Take the next row; it has no time if it was refused for another reason."""
        stretch = None if at is None else self._stretch(at)
        if at is not None and stretch is None:
            row = self.refused(row, BACK)
        self.waiting.append(_Waiting(row, stretch))
        if stretch is None:
            return
        if stretch is self.settled:
            self._refuse(self.other)
            self.other = None
        elif stretch.borne_out:
            self._refuse(self.settled)
            self.settled, self.other = stretch, None

    def decided(self) -> Iterator[Row]:
        """Yield the rows about which nothing is open any more."""
        if self.other is None and (self.settled is None or self.settled.borne_out):
            yield from self._released()

    def end(self) -> Iterator[Row]:
        """Yield the rest: the longer stretch is the recording."""
        stretches = [one for one in (self.other, self.settled) if one is not None]
        for one in sorted(stretches, key=lambda one: one.rows)[:-1]:
            self._refuse(one)
        yield from self._released()

    def _stretch(self, at: datetime) -> _Stretch | None:
        """Return the stretch that a time belongs to; None if it goes back."""
        for one in (self.settled, self.other):
            if one is not None and one.leads_to(at):
                one.go_on(at)
                return one
        if self.settled is None:
            self.settled = _Stretch(at)
            return self.settled
        ahead, far = at > self.settled.last, self.settled.last - at > HOLE
        if not ahead and (self.settled.borne_out or not far):
            return None
        self._refuse(self.other)
        self.other = _Stretch(at)
        return self.other

    def _refuse(self, stretch: _Stretch | None) -> None:
        if stretch is not None:
            self.waiting = [
                _Waiting(self.refused(one.row, AWAY), None) if one.of is stretch else one
                for one in self.waiting
            ]

    def _released(self) -> Iterator[Row]:
        waiting, self.waiting = self.waiting, []
        yield from (one.row for one in waiting)


def in_order(
    rows: Iterable[Row],
    time_of: Callable[[Row], datetime | None],
    refused: Callable[[Row, str], Row],
) -> Iterator[Row]:
    """Yield rows in the order of the file, those that stand out of the order of time as refused.

    Args:
        rows: the rows of a recording.
        time_of: returns a row's time; None if it was refused for another reason.
        refused: returns a row as one that was refused, for a reason.
    """
    order = _Order(refused)
    for row in rows:
        order.take(row, time_of(row))
        yield from order.decided()
    yield from order.end()
