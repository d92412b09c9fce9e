"""How much of a partition was never compacted, and when that is to be done. Pure.

What is written to now is left alone, as Kafka leaves the segment that is written to alone: it ends
by the times of the records and by their bytes (segment.ms, segment.bytes), so that a reader who is
near the end finds every record.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bus.broker.configs import TOPIC_CONFIGS
from bus.broker.retention import Head


@dataclass(frozen=True, slots=True)
class Terms:
    """A topic's configs as compaction reads them; times in milliseconds.

    Attributes:
        ratio: of what could be compacted, how much must be new.
        least: how old a record is before it is compacted.
        most: how old one may become before it is, whatever the ratio.
        delete_retention: how long tombstones stay.
        segment_ms, segment_bytes: where what is written to now begins.
    """

    ratio: float
    least: int
    most: int
    delete_retention: int
    segment_ms: int
    segment_bytes: int

    @classmethod
    def of(cls, configs: Mapping[str, str]) -> "Terms | None":
        """Return the terms of a topic's configs; None if it is not compacted."""

        def value(name: str) -> str:
            return configs.get(name, TOPIC_CONFIGS[name].default)

        if "compact" not in value("cleanup.policy").split(","):
            return None
        most = int(value("max.compaction.lag.ms"))
        return cls(
            ratio=float(value("min.cleanable.dirty.ratio")),
            least=int(value("min.compaction.lag.ms")),
            most=most,
            delete_retention=int(value("delete.retention.ms")),
            segment_ms=min(int(value("segment.ms")), most),
            segment_bytes=int(value("segment.bytes")),
        )


@dataclass(slots=True)
class Dirt:
    """What of a partition was written since it was compacted.

    Attributes:
        terms: how it is compacted.
        cleaned: up to here it was compacted.
        seen: up to here its rows were looked at.
        closed: bytes from `cleaned` to where what is written to now begins.
        oldest: the time of the oldest of these, by rows.
        base: where what is written to now begins.
        active: the bytes of it.
        first: the time of its first row.
        not_before: when to try again what was too young, in milliseconds since 1970.
    """

    terms: Terms
    cleaned: int
    seen: int
    closed: int = 0
    oldest: int | None = None
    base: int = 0
    active: int = 0
    first: int = 0
    not_before: int = 0
    _oldest_active: int | None = None

    @classmethod
    def since(cls, terms: Terms, cleaned: int) -> "Dirt":
        """Return what is known before any row was looked at."""
        return cls(terms, cleaned, cleaned, base=cleaned)

    def add(self, head: Head) -> None:
        """Look at the next row."""
        terms = self.terms
        late = head.newest - self.first > terms.segment_ms
        if self.active and (late or self.active + head.size > terms.segment_bytes):
            self.closed += self.active
            self.oldest = _earlier(self.oldest, self._oldest_active)
            self.base, self.active, self._oldest_active = head.base, 0, None
        if not self.active:
            self.first = head.newest
        self.active += head.size
        self._oldest_active = _earlier(self._oldest_active, head.newest)
        self.seen = head.next

    def due(self, size: int) -> int | None:
        """Return when it is to be compacted, in milliseconds since 1970; None: not foreseeable.

        Args:
            size: the bytes of all rows of the partition.
        """
        if not self.closed or self.oldest is None:
            return None
        if self.closed > self.terms.ratio * (size - self.active):
            return self.not_before
        return max(self.oldest + self.terms.most, self.not_before)

    def waited(self, now: int) -> bool:
        """Say whether something of it waited for so long that it is compacted whatever the ratio.

        Args:
            now: milliseconds since 1970.
        """
        return self.oldest is not None and self.oldest + self.terms.most <= now


def _earlier(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
