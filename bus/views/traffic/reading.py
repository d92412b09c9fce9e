"""Reads the view of traffic load from its compacted topic, and follows it."""

import logging
from collections.abc import Sequence

from bus.errors import NotFound, PositionLost, UndecodableEvent
from bus.kafka import Fetched, LogReader
from bus.settings import KafkaSettings
from bus.startable import Startable
from bus.views.traffic.window import TOPIC, Window, WindowKey, read_key, read_window

log = logging.getLogger(__name__)


class ViewReader(Startable):
    """The view as it stands: every window that it keeps.

    Args:
        kafka: how to reach the engine.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._reader = LogReader(kafka, client_id="stadtbus-view")
        self._windows: dict[WindowKey, Window] = {}
        self._next: dict[int, int] = {}
        self.exists = False
        """Whether there is such a topic: somebody has kept the view on this engine."""

    async def start(self) -> None:
        """Connect.

        Raises:
            BusError: the engine cannot be reached, or does not accept the credentials.
        """
        await self._reader.start()

    async def stop(self) -> None:
        """Close the connections."""
        await self._reader.stop()

    @property
    def windows(self) -> Sequence[Window]:
        """All windows, as of the last `refresh`."""
        return list(self._windows.values())

    def of(self, municipality: str) -> Sequence[Window]:
        """Return the windows of one municipality."""
        return [window for window in self._windows.values() if window.municipality == municipality]

    async def refresh(self) -> None:
        """Read what is new up to the end that the topic has now.

        The first call reads all of it. A topic that ends before what was read of it, because it was
        made anew, or that lost what was still to be read, is read from its start.

        Raises:
            NotAuthorised: this user may not read the topic.
            BusUnavailable: the engine cannot be reached; the view stays as it was.
        """
        try:
            bounds = await self._reader.bounds(TOPIC)
        except NotFound:
            self._forget(exists=False)
            return
        self.exists = True
        if any(not first <= self._next.get(p, first) <= end for p, (first, end) in bounds.items()):
            self._forget(exists=True)
        for partition, (first, end) in bounds.items():
            try:
                await self._read(partition, self._next.get(partition, first), end)
            except PositionLost:
                log.info("%s-%d was cut while it was read", TOPIC, partition)
                self._forget(exists=True)
                return

    async def _read(self, partition: int, offset: int, end: int) -> None:
        while offset < end:
            records = await self._reader.read(TOPIC, partition, offset)
            if not records:
                return  # only marks and gaps are left, or it takes longer: the next call goes on
            for record in records:
                self._take(record)
            offset = self._next[partition] = records[-1].offset + 1

    def _take(self, record: Fetched) -> None:
        try:
            if record.value is None:
                self._windows.pop(read_key(record.key), None)
            else:
                window = read_window(record.key, record.value)
                self._windows[window.key] = window
        except UndecodableEvent as error:
            place = f"{record.topic}-{record.partition} at {record.offset}"
            log.warning("%s is left out of the view: %s", place, error)

    def _forget(self, *, exists: bool) -> None:
        self._windows.clear()
        self._next.clear()
        self.exists = exists
