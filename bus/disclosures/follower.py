"""Copies the topic of disclosures into the store, as it is committed."""

import asyncio
import logging
import time
from collections.abc import Callable

from bus.admin import Admin
from bus.disclosures.batch import read
from bus.disclosures.disclosure import Disclosure
from bus.disclosures.store import Store
from bus.disclosures.topic import KEPT_MS, TOPIC
from bus.errors import BusError, NotFound, PositionLost, UndecodableEvent
from bus.kafka import Fetched, LogReader
from bus.settings import KafkaSettings

log = logging.getLogger(__name__)

TURN = 2.0
"""Seconds between two looks at the topic."""

LOOKING = 30.0
"""Seconds between two looks at whether it is the same topic, and at what had its time."""


class Follower:
    """Reads the topic while it runs.

    Args:
        kafka: how to reach the engine, as a user who may read the topic.
        store: where the copy is.
        clock: seconds since 1970.
    """

    def __init__(
        self, kafka: KafkaSettings, store: Store, clock: Callable[[], float] = time.time
    ) -> None:
        self._kafka, self._store, self._clock = kafka, store, clock
        self._looked: float | None = None
        self._forgotten: float | None = None
        self.at: float | None = None
        """When all was copied that was there, in seconds since 1970; None: not yet."""

    async def run(self) -> None:
        """Follow the topic until cancelled, whatever happens to the engine."""
        said = ""
        while True:
            try:
                async with LogReader(self._kafka, client_id="_stadtbus.disclosures") as reader:
                    self._looked = None
                    while True:
                        await self.refresh(reader)
                        said = ""
                        await asyncio.sleep(TURN)
            except BusError as error:
                if str(error) != said:  # once for each trouble, however long it lasts
                    said = str(error)
                    log.warning("disclosures are not copied just now: %s", error)
                await asyncio.sleep(TURN)

    async def refresh(self, reader: LogReader) -> None:
        """Copy what is new up to the end that the topic has now.

        A topic that was made anew, or that ends before what was copied of it because it was
        restored, is copied from its start.

        Args:
            reader: started.

        Raises:
            NotAuthorised: this user may not read the topic.
            BusUnavailable: the engine cannot be reached.
            StorageUnusable: the copy cannot be written.
        """
        if self._is_due(self._forgotten):
            await asyncio.to_thread(self._store.forget, int(self._clock() * 1000) - KEPT_MS)
            self._forgotten = self._clock()
        if not await reader.exists(TOPIC):
            return
        try:
            bounds = await reader.bounds(TOPIC)
            if self._is_due(self._looked):
                await self._look()
                self._looked = self._clock()
            reach = await asyncio.to_thread(self._store.reach)
            if any(reach.following.get(p, 0) > end for p, (_, end) in bounds.items()):
                log.error("%s ends before what was copied of it: it is copied anew", TOPIC)
                await asyncio.to_thread(self._store.begin, reach.topic_id)
                reach = await asyncio.to_thread(self._store.reach)
            began = self._clock()
            for partition, (first, end) in bounds.items():
                await self._copy(reader, partition, reach.following.get(partition), first, end)
            self.at = began
        except (NotFound, PositionLost) as error:  # it was deleted or cut just now
            log.info("disclosures are looked for once more: %s", error)
            self._looked = None

    def _is_due(self, last: float | None) -> bool:
        return last is None or self._clock() - last >= LOOKING

    async def _look(self) -> None:
        """Begin anew if the topic is another one than before."""
        async with Admin(self._kafka) as admin:
            topic_id = await admin.topic_id(TOPIC)
        reach = await asyncio.to_thread(self._store.reach)
        if reach.topic_id != topic_id:
            if reach.topic_id:
                log.warning("%s was made anew: what was copied of the other is deleted", TOPIC)
            await asyncio.to_thread(self._store.begin, topic_id)

    async def _copy(
        self, reader: LogReader, partition: int, following: int | None, first: int, end: int
    ) -> None:
        if following is not None and following < first:
            log.error("%d records of %s-%d were not copied", first - following, TOPIC, partition)
        offset = max(following or 0, first)
        while offset < end:
            records = await reader.read(TOPIC, partition, offset, max_wait=0)
            if not records:
                return  # what is left marks transactions' ends, or is not committed yet
            told = [(record.offset, _read(record)) for record in records]
            offset = records[-1].offset + 1
            await asyncio.to_thread(self._store.add, partition, told, offset)


def _read(record: Fetched) -> list[Disclosure]:
    try:
        return read(record)
    except UndecodableEvent as error:
        log.error("a record is left out of the disclosures: %s", error)
        return []
