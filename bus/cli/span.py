"""From where to where a topic is read: offsets of each partition, from what was asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bus.kafka import Fetched, LogReader

Bounds = Mapping[int, tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What part of a topic to read; with nothing given, what comes from now on.

    Args:
        since: from the first record that was appended then or later.
        until: up to the last record that was appended before.
        offset: from this offset, in each partition.
        last: the newest records, so many in all.
        everything: from the beginning.
        to_end: stop at what is the end now.
    """

    since: datetime | None = None
    until: datetime | None = None
    offset: int | None = None
    last: int | None = None
    everything: bool = False
    to_end: bool = False

    async def starts(self, reader: LogReader, topic: str, bounds: Bounds) -> dict[int, int]:
        """Return the offset at which to begin in each partition."""
        if self.since is not None:
            moment = round(self.since.timestamp() * 1000)
            found = {p: await reader.offset_at(topic, p, moment) for p in bounds}
            return {p: end if (at := found[p]) is None else at for p, (_, end) in bounds.items()}
        if self.offset is not None:
            return {p: min(max(self.offset, first), end) for p, (first, end) in bounds.items()}
        if self.last is not None:
            # The newest of all are among the newest of each partition.
            return {p: max(first, end - self.last) for p, (first, end) in bounds.items()}
        if self.everything:
            return {p: first for p, (first, _) in bounds.items()}
        return {p: end for p, (_, end) in bounds.items()}

    @property
    def bounded(self) -> bool:
        """Whether reading ends by itself."""
        return self.to_end or self.until is not None

    def holds(self, record: Fetched, end: int | None) -> bool:
        """Whether a record lies before the end and before ``until``."""
        if end is not None and record.offset >= end:
            return False
        return self.until is None or record.timestamp_ms < self.until.timestamp() * 1000
