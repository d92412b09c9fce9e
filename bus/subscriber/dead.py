"""Writing dead letters: records that were refused, untouched, with the reason beside them."""

import asyncio
import logging
from datetime import UTC, datetime

from bus.admin import Admin
from bus.contracts import contract_topic
from bus.errors import BusUnavailable, EventTooLarge
from bus.kafka import Fetched, Producer
from bus.letters import (
    LARGEST_LETTER,
    LARGEST_REDRIVEN,
    dead_topic,
    is_redrive_topic,
    letter_spec,
    letters,
    original,
    redrive_topic,
)
from bus.settings import KafkaSettings

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0

BAD_EVENT = "bad-event"
"""The reason word for an event that its handler refused."""


class DeadLetters:
    """Writes the dead letters of one group.

    Args:
        kafka: how to reach the engine.
        member: whose dead letters these are.
        group: the group that refuses.
    """

    def __init__(self, kafka: KafkaSettings, member: str, group: str) -> None:
        self._kafka, self._member, self._group = kafka, member, group
        self._producer: Producer | None = None
        self._starting = asyncio.Lock()

    async def prepare(self, topics: dict[str, int]) -> None:
        """Make the topics that dead letters of these topics go to.

        Args:
            topics: those that are read, with their numbers of partitions.

        Raises:
            BusUnavailable, NotAuthorised: the engine cannot be reached, or says no.
        """
        async with Admin(self._kafka) as admin:
            for topic, partitions in topics.items():
                name = dead_topic(self._member, contract_topic(topic))
                await admin.ensure_topic(letter_spec(name, partitions, LARGEST_LETTER))

    async def prepare_redriving(self, topics: dict[str, int]) -> list[str]:
        """Make the topics on which events of these topics come once more, and return them.

        To be called by who reads them: where there is none, nothing is re-driven.

        Args:
            topics: those that are read, with their numbers of partitions.

        Raises:
            BusUnavailable, NotAuthorised: the engine cannot be reached, or says no.
        """
        async with Admin(self._kafka) as admin:
            names = [redrive_topic(self._member, contract_topic(topic)) for topic in topics]
            for name, partitions in zip(names, topics.values(), strict=True):
                await admin.ensure_topic(letter_spec(name, partitions, LARGEST_REDRIVEN))
        return names

    async def put(self, record: Fetched, reason: str, detail: str) -> None:
        """Write a dead letter; return once the engine has it durably, however long that takes.

        A letter that is above the topic's limit is written without its value.
        """
        partition = record.partition
        earlier: tuple[str, ...] = ()
        if is_redrive_topic(record.topic) and (found := original(record)) is not None:
            record, _, history = found
            earlier = history.letters
        smaller = letters(record, reason, detail, self._group, datetime.now(UTC), earlier)
        written = [next(smaller)]
        topic = dead_topic(self._member, contract_topic(record.topic))
        pause = FIRST_PAUSE
        while True:
            try:
                producer = await self._ready()
                await producer.append(topic, partition, written)
            except EventTooLarge as error:
                log.warning("a dead letter is too large, and is written with less: %s", error)
                written = [next(smaller, written[0])]
            except BusUnavailable as error:
                log.warning("cannot write a dead letter yet: %s", error)
            else:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def stop(self) -> None:
        """Close the connections."""
        if self._producer is not None:
            await self._producer.stop()

    async def _ready(self) -> Producer:
        # Most subscribers never refuse anything: connect when the first letter is written.
        async with self._starting:
            if self._producer is None:
                producer = Producer(
                    self._kafka, client_id=self._group, largest_batch=LARGEST_LETTER
                )
                await producer.start()
                self._producer = producer
            return self._producer
