"""Reading decisions and letters from the engine."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass

from bus.admin import Admin
from bus.errors import InvalidSettings, NotFound
from bus.kafka import LogReader
from bus.letters.decisions import DECISIONS, Action, Decision, Decisions, read_decision
from bus.letters.letter import Letter, is_dead_topic, read_letter
from bus.settings import KafkaSettings
from bus.startable import Startable

PARTITION = 0
"""Decisions have one partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many letters of a topic wait, and what became of the others that are still there."""

    waiting: int
    redriven: int
    discarded: int


class DecisionLog:
    """Follows the decisions.

    Args:
        reader: reads them; started and stopped by its owner.
    """

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._position: int | None = None
        self.known = Decisions()
        self.unreadable = 0

    async def follow(self, bounds: tuple[int, int] | None = None) -> list[Decision]:
        """Take in what was decided since the last time, and return it.

        Args:
            bounds: first and end offset of the decisions' partition; asked for if None.

        Raises:
            NotFound: nobody has ever decided.
            NotAuthorised: this user may not read decisions.
            BusUnavailable: the engine cannot be reached.
        """
        if bounds is None:
            bounds = (await self._reader.bounds(DECISIONS))[PARTITION]
        first, end = bounds
        if self._position is None or self._position > end:  # the topic was made anew
            self._position, self.known = first, Decisions()
        self._position = max(self._position, first)
        new: list[Decision] = []
        while self._position < end:
            records = await self._reader.read(DECISIONS, PARTITION, self._position, max_wait=0)
            if not records:  # what is left marks a transaction's end, or is not committed yet
                break
            for record in records:
                self._position = record.offset + 1
                decided = read_decision(record)
                if decided is None:
                    self.unreadable += 1
                    continue
                self.known.note(decided)
                new.append(decided)
            await asyncio.sleep(0)
        return new


class Shelf(Startable):
    """All dead letters of an engine, with what was decided about them.

    Args:
        kafka: how to reach the engine.
        client_id: what the engine calls this client in its logs.
    """

    def __init__(self, kafka: KafkaSettings, *, client_id: str = "stadtbus-dead") -> None:
        self._kafka = kafka
        self.reader = LogReader(kafka, client_id=client_id)
        self._log = DecisionLog(self.reader)

    async def start(self) -> None:
        """Connect.

        Raises:
            BusError: the engine cannot be reached, or does not accept the credentials.
        """
        await self.reader.start()

    async def stop(self) -> None:
        """Close the connections."""
        await self.reader.stop()

    @property
    def decisions(self) -> Decisions:
        """What is known as decided since `refresh`."""
        return self._log.known

    async def refresh(self) -> list[Decision]:
        """Learn what was decided since the last time, and return it.

        Raises:
            NotAuthorised, BusUnavailable: as `DecisionLog.follow` has it.
        """
        if not await self.reader.exists(DECISIONS):
            return []
        try:
            return await self._log.follow()
        except NotFound:  # it went in between
            return []

    async def counts(self) -> dict[str, Count]:
        """Return how many letters there are, by dead letter topic.

        Raises:
            NotAuthorised, BusUnavailable: the engine does not tell.
        """
        async with Admin(self._kafka) as admin:
            topics = sorted(topic for topic in await admin.topics() if is_dead_topic(topic))
        if not topics:  # then nobody needs the right to read what was decided
            return {}
        await self.refresh()
        return {
            topic: count(self.decisions, topic, await self.reader.bounds(topic)) for topic in topics
        }

    async def letters(
        self, topic: str, *, last: int | None = None, start: tuple[int, int] = (0, 0)
    ) -> AsyncIterator[Letter]:
        """Yield the letters that a topic holds now, by partition in the order of offsets.

        Args:
            topic: which topic.
            last: so many of each partition, the newest; all if None.
            start: partition and offset to begin at.

        Raises:
            InvalidSettings: it is no dead letter topic.
            NotFound: it does not exist.
            NotAuthorised, BusUnavailable: it cannot be read.
        """
        refuse_others(topic)
        for partition, (first, end) in (await self.reader.bounds(topic)).items():
            if partition < start[0]:
                continue
            offset = first if last is None else max(first, end - last)
            if partition == start[0]:
                offset = max(offset, start[1])
            while offset < end:
                records = await self.reader.read(topic, partition, offset, max_wait=0)
                if not records:
                    break
                for record in records:
                    if record.offset < end:
                        yield read_letter(record)
                offset = records[-1].offset + 1

    async def letter(self, topic: str, partition: int, offset: int) -> Letter:
        """Return one letter.

        Raises:
            NotFound: it is not there, or no longer.
            InvalidSettings, NotAuthorised, BusUnavailable: as for `letters`.
        """
        (letter,) = await self.chosen(topic, [(partition, offset)])
        return letter

    async def chosen(self, topic: str, spots: Iterable[tuple[int, int]]) -> list[Letter]:
        """Return letters by their places, in the order of partitions and offsets.

        Args:
            topic: their dead letter topic.
            spots: partition and offset of each.

        Raises:
            NotFound: one of them is not there, or no longer.
            InvalidSettings, NotAuthorised, BusUnavailable: as for `letters`.
        """
        refuse_others(topic)
        bounds = await self.reader.bounds(topic)
        found: list[Letter] = []
        left = deque(sorted(set(spots)))
        while left:
            partition, offset = left[0]
            first, end = bounds.get(partition, (0, 0))
            inside = first <= offset < end
            records = await self.reader.read(topic, partition, offset, max_wait=0) if inside else []
            there = {(partition, record.offset): record for record in records}
            if left[0] not in there:
                raise _no_such_letter(topic, partition, offset)
            while left and left[0] in there:
                found.append(read_letter(there[left.popleft()]))
        return found


def _no_such_letter(topic: str, partition: int, offset: int) -> NotFound:
    return NotFound(
        "there is no such letter, or no longer",
        where=f"{topic}/{partition}/{offset}",
        remedy=f"see `stadtbus dead show {topic}`",
    )


def count(decisions: Decisions, topic: str, bounds: Mapping[int, tuple[int, int]]) -> Count:
    """Return how many letters of a topic wait, and what became of the others."""
    decided = decisions.count(topic, bounds)
    there = sum(end - first for first, end in bounds.values())
    return Count(
        waiting=max(there - sum(decided.values()), 0),
        redriven=decided[Action.redriven],
        discarded=decided[Action.discarded],
    )


def refuse_others(topic: str) -> None:
    """Refuse a topic that holds no dead letters.

    Raises:
        InvalidSettings: it does not.
    """
    if not is_dead_topic(topic):
        raise InvalidSettings(
            "this is no dead letter topic, whose names begin with dead.",
            where=topic,
            remedy="see `stadtbus dead ls`",
        )
