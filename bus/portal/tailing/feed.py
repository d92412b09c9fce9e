"""One topic as it is read for all who follow it."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from bus.errors import BusError, PositionLost
from bus.kafka import Fetched, LogReader
from bus.portal.tailing.decoding import Decoding, Registry
from bus.portal.tailing.follower import MOST_ROWS, Follower
from bus.portal.tailing.line import Line
from bus.settings import KafkaSettings
from bus.watch.survey import Bounds

log = logging.getLogger(__name__)

BACKLOG = 500
"""Events before the end that a tail begins with."""

MOST_BEHIND = 20_000
"""Events that are read again for who comes back after a while; what is older is skipped."""

KEPT_LINES, KEPT_BYTES = 2000, 8 * 2**20
"""What is kept of a topic for who comes and comes back."""

SLICE, REST = 20, 0.001
"""Records that are decoded at a time, and seconds in which other threads have the interpreter."""

IDLE, AGAIN = 0.2, 1.0
"""Seconds between two looks at a topic without news, and at one that cannot be read."""


class Feed:
    """A topic that is read on and on.

    Args:
        topic: the topic.
        kafka: how to reach the engine.
        registry: where its contract comes from.
    """

    def __init__(self, topic: str, kafka: KafkaSettings, registry: Registry) -> None:
        self.topic = topic
        self.followers: dict[Follower, None] = {}
        self.caught_up = asyncio.Event()
        """Set once what was there at the start has been read, or cannot be."""
        self._reader = LogReader(kafka, client_id="stadtbus-tail")
        self._decoding = Decoding(topic, registry)
        self._lines: deque[Line] = deque()
        self._held = 0
        self._kept_from: dict[int, int] = {}
        self._next: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._reading: asyncio.Task[None] | None = None
        self._due = 0.0

    async def open(self, wanted: Mapping[int, int]) -> None:
        """Begin to read.

        Args:
            wanted: from where, by partition; a little before the end if nothing is said.

        Raises:
            NotFound: there is no such topic.
            BusError: it cannot be read.
        """
        await self._reader.start()
        bounds = await self._reader.bounds(self.topic)
        self._next = beginning(bounds, wanted)
        self._kept_from = dict(self._next)
        self._ends = {partition: end for partition, (_, end) in bounds.items()}
        self._reading = asyncio.create_task(self._follow(), name=f"tail of {self.topic}")

    async def close(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        await self._reader.stop()

    def join(self, follower: Follower, wanted: Mapping[int, int]) -> None:
        """Have somebody follow.

        Args:
            follower: who.
            wanted: where to go on, by partition; at all that is kept if nothing is said.
        """
        positions = {}
        for partition, kept in self._kept_from.items():
            reached = max(self._next[partition], self._ends.get(partition, 0))
            positions[partition] = min(wanted.get(partition, kept), reached)
        follower.begin(positions)
        for partition, kept in self._kept_from.items():
            if positions[partition] < kept:
                follower.jump(partition, kept)
        follower.take(self._lines)
        self.followers[follower] = None

    async def _follow(self) -> None:
        while True:
            trouble: BusError | None = None
            try:
                read = await self._round()
                if not read:
                    await self._decode_again()
                wait = 0.0 if read else IDLE
            except BusError as error:
                trouble, wait, read = error, AGAIN, False
                log.info("the tail of %s waits: %s", self.topic, error)
            for follower in self.followers:
                follower.tell(trouble)
            if not read:
                self.caught_up.set()
            await asyncio.sleep(wait)

    async def _round(self) -> bool:
        """Read each partition that has something new once; return whether one had."""
        bounds = await self._reader.bounds(self.topic)
        found = False
        for partition, (first, end) in bounds.items():
            self._ends[partition] = end
            self._settle(partition, first, end)
            if self._next[partition] >= end:
                continue
            try:
                at = self._next[partition]
                records = await self._reader.read(self.topic, partition, at, max_wait=0)
            except PositionLost:
                continue  # cut meanwhile: the next round knows where it begins now
            found = found or bool(records)
            await self._take(records)
        return found

    def _settle(self, partition: int, first: int, end: int) -> None:
        """Go on inside what the partition holds now."""
        at = self._next.setdefault(partition, first)
        self._kept_from.setdefault(partition, at)
        if first <= at <= end:
            return
        self._next[partition] = first
        if at > end:  # the topic was made anew, and what is kept is of the old one
            self._lines = deque(line for line in self._lines if line.partition != partition)
            self._held = sum(line.size for line in self._lines)
            self._kept_from[partition] = first
        for follower in self.followers:
            follower.jump(partition, first)

    async def _take(self, records: Sequence[Fetched]) -> None:
        unfiltered = all(follower.wanted.is_empty for follower in self.followers)
        if len(records) > MOST_ROWS and unfiltered:
            self._pass_over(records[:-MOST_ROWS])
            records = records[-MOST_ROWS:]
        for part in _slices(records):
            lines = [await self._decoding.line(record) for record in part]
            for line in lines:
                self._next[line.partition] = line.offset + 1
                self._lines.append(line)
                self._held += line.size
            while len(self._lines) > KEPT_LINES or self._held > KEPT_BYTES:
                gone = self._lines.popleft()
                self._held -= gone.size
                self._kept_from[gone.partition] = gone.offset + 1
            for follower in self.followers:
                follower.take(lines)
            await asyncio.sleep(REST)

    async def _decode_again(self) -> None:
        """Decode what could not be while the registry was away, if it is back."""
        now = asyncio.get_running_loop().time()
        if now < self._due:
            return
        self._due = now + AGAIN
        made: dict[tuple[int, int], Line] = {}
        for record in [line.record for line in self._lines if line.record is not None]:
            line = await self._decoding.line(record)
            if line.record is not None:
                break
            made[line.partition, line.offset] = line
            if len(made) % SLICE == 0:
                await asyncio.sleep(REST)
        if made:
            lines = (made.get((line.partition, line.offset), line) for line in self._lines)
            self._lines = deque(lines)
            self._held = sum(line.size for line in self._lines)
            for follower in self.followers:
                follower.take_again(list(made.values()))

    def _pass_over(self, records: Sequence[Fetched]) -> None:
        """Leave out records that nobody would be shown, as there are so many after them."""
        partition, following = records[0].partition, records[-1].offset + 1
        self._lines = deque(line for line in self._lines if line.partition != partition)
        self._held = sum(line.size for line in self._lines)
        self._next[partition] = self._kept_from[partition] = following
        offsets = [record.offset for record in records]
        for follower in self.followers:
            follower.pass_over(partition, offsets)


def beginning(bounds: Bounds, wanted: Mapping[int, int]) -> dict[int, int]:
    """Return where reading begins: where it was wanted, but not too far from the end.

    Args:
        bounds: what the topic holds.
        wanted: offsets by partition.
    """
    share, most = (max(number // max(len(bounds), 1), 1) for number in (BACKLOG, MOST_BEHIND))
    return {
        partition: min(max(wanted.get(partition, end - share), first, end - most), end)
        for partition, (first, end) in bounds.items()
    }


def _slices(records: Sequence[Fetched]) -> Iterator[Sequence[Fetched]]:
    for start in range(0, len(records), SLICE):
        yield records[start : start + SLICE]
