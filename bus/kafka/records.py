"""What is written and read: plain tuples, and the limits of a batch."""

from collections.abc import Sequence
from operator import lt
from typing import Any, NamedTuple

LARGEST_BATCH = 1_048_588
"""Bytes of the largest record batch: Apache Kafka's default for ``max.message.bytes``."""


FETCH_BYTES = 1_048_576
"""Bytes asked for in one fetch; a larger batch comes alone."""

_LAST_MS = 253_370_764_800_000  # 1 January 9999, in any zone a time that can be written

Place = tuple[str, int]
"""A topic and a partition."""


class Record(NamedTuple):
    """One record to be written; None as value is a tombstone."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Fetched(NamedTuple):
    """One record as it was read; ``timestamp_ms`` is the broker's, in milliseconds.

    Where it could not be read as it must be, ``fault`` says why, and is empty otherwise.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    fault: str = ""

    @property
    def appended(self) -> float:
        """The time in seconds since 1970, of those that a calendar has: a client may write any."""
        return min(max(self.timestamp_ms, 0), _LAST_MS) / 1000

    @property
    def is_batch(self) -> bool:
        """Whether this stands for a whole batch that cannot be taken apart: value is its bytes.

        The only other fault is one of a record's headers, which a batch does not have.
        """
        return bool(self.fault) and not self.headers


def fetched(record: Any) -> Fetched:
    return Fetched(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        record.headers,
    )


class Misplaced(Exception):
    """Records whose offsets are not their own: those of others would be taken for read."""


def check_order(records: Sequence[Any], following: int) -> None:
    """Check the offsets that a batch's writer gave its records, which aiokafka takes as they are.

    Raises:
        Misplaced: they do not rise, or go past the offset that follows the last batch.
    """
    offsets = [record.offset for record in records]
    if not all(map(lt, offsets, [*offsets[1:], following])):
        raise Misplaced(f"offsets do not rise to {following}")
