"""Finding letters: which of those that wait somebody means."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import heappush, heappushpop

from bus.errors import Conflict
from bus.letters.letter import Letter
from bus.letters.shelf import Shelf

Spot = tuple[int, int]
"""Partition and offset of a letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which letters are meant; what is None does not matter.

    Args:
        spots: these alone.
        reason: set aside for this reason word.
        group: refused by this group.
        since: appended then or later.
        until: appended before.
    """

    spots: frozenset[Spot] | None = None
    reason: str | None = None
    group: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def holds(self, letter: Letter) -> bool:
        """Whether a letter is meant."""
        return (
            (self.spots is None or (letter.partition, letter.offset) in self.spots)
            and self.reason in (None, letter.reason)
            and self.group in (None, letter.group)
            and (self.since is None or letter.at_ms >= self.since.timestamp() * 1000)
            and (self.until is None or letter.at_ms < self.until.timestamp() * 1000)
        )


async def waiting(
    shelf: Shelf, topic: str, wanted: Filter, *, most: int | None = None
) -> list[Letter]:
    """Return the letters that wait and are meant, by partition in the order of offsets.

    Args:
        shelf: where to look.
        topic: the dead letter topic.
        wanted: which ones; a spot that is named has to be there, and to wait.
        most: no more than these.

    Raises:
        NotFound: a letter that is named is not there.
        Conflict: a letter that is named was decided about.
        NotAuthorised, BusUnavailable: the letters or decisions cannot be read.
    """
    await shelf.refresh()
    if wanted.spots is not None:
        return await _named(shelf, topic, wanted, wanted.spots, most)
    found: list[Letter] = []
    async for letter in shelf.letters(topic):
        if most is not None and len(found) >= most:
            break
        if wanted.holds(letter) and shelf.decisions.of(letter) is None:
            found.append(letter)
    return found


async def newest(
    shelf: Shelf, topic: str, wanted: Filter, most: int, *, waits: bool = False
) -> list[Letter]:
    """Return the newest letters that are meant, the oldest of them first.

    Args:
        shelf: where to look.
        topic: the dead letter topic.
        wanted: which ones.
        most: no more than these.
        waits: only those that nobody has decided about.

    Raises:
        NotFound, NotAuthorised, BusUnavailable: the letters or decisions cannot be read.
    """
    await shelf.refresh()
    found: list[tuple[int, int, int, Letter]] = []
    # Of each partition at least so many could be among the newest of all; who filters reads it all.
    last = None if waits or wanted != Filter() else most
    async for letter in shelf.letters(topic, last=last):
        if wanted.holds(letter) and not (waits and shelf.decisions.of(letter)):
            one = (letter.at_ms, letter.partition, letter.offset, letter)
            (heappush if len(found) < most else heappushpop)(found, one)
    return [letter for *_, letter in sorted(found)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a topic's letters that wait, found without reading all of them.

    Args:
        letters: those that are meant.
        looked: how many letters were looked at.
        following: where to go on; None at the end.
    """

    letters: Sequence[Letter]
    looked: int
    following: Spot | None


async def part(
    shelf: Shelf, topic: str, wanted: Filter, start: Spot, *, most: int, look_at: int
) -> Part:
    """Return letters that wait and are meant, from a spot on.

    Args:
        shelf: where to look.
        topic: the dead letter topic.
        wanted: which ones; its spots do not count.
        start: where to begin.
        most: no more than these.
        look_at: letters that are looked at, at the most.

    Raises:
        NotFound, NotAuthorised, BusUnavailable: the letters or decisions cannot be read.
    """
    await shelf.refresh()
    found: list[Letter] = []
    looked = 0
    async for letter in shelf.letters(topic, start=start):
        if len(found) >= most or looked >= look_at:
            following = (letter.partition, letter.offset)
            return Part(letters=found, looked=looked, following=following)
        looked += 1
        if wanted.holds(letter) and shelf.decisions.of(letter) is None:
            found.append(letter)
    return Part(letters=found, looked=looked, following=None)


async def _named(
    shelf: Shelf, topic: str, wanted: Filter, spots: Collection[Spot], most: int | None
) -> list[Letter]:
    letters = await shelf.chosen(topic, spots)
    for letter in letters:
        if (decided := shelf.decisions.of(letter)) is not None:
            raise Conflict(
                f"it was {decided.action} by {decided.who or 'somebody'} at {decided.when}",
                where=letter.place,
                remedy="if it failed again, there is a new letter about it",
            )
    return [letter for letter in letters if wanted.holds(letter)][:most]
