"""Idempotent producers: which batch is next, which is a repeat, which is out of order. Pure.

The rules are Kafka's (ProducerStateEntry, ProducerAppendInfo): per partition and producer the last
five batches are remembered; a repeat of one of them is answered with its offset.
"""

import struct
from dataclasses import dataclass
from typing import NamedTuple

from kio.schema.errors import ErrorCode

REMEMBERED = 5
_LARGEST = 2**31 - 1
_WINDOW = struct.Struct(">iiq")


class Written(NamedTuple):
    """A batch that was stored: its first and last sequence number and the first offset."""

    first: int
    last: int
    offset: int


@dataclass(frozen=True, slots=True)
class Producer:
    """What one partition knows of one producer.

    Attributes:
        epoch: the producer's incarnation.
        last: the last sequence number; -1 before the first.
        window: the newest batches, oldest first.
        opened: where its open transaction began in this partition; None if there is none.
    """

    epoch: int
    last: int
    window: tuple[Written, ...] = ()
    opened: int | None = None

    def to_bytes(self) -> bytes:
        """Return the window as stored."""
        return b"".join(_WINDOW.pack(*written) for written in self.window)

    @classmethod
    def from_bytes(cls, epoch: int, stored: bytes, opened: int | None = None) -> "Producer":
        """Undo `to_bytes`."""
        window = tuple(Written(*fields) for fields in _WINDOW.iter_unpack(stored))
        return cls(epoch, window[-1].last if window else -1, window, opened)

    def opening(self, offset: int) -> "Producer":
        """Return it with a transaction that begins at an offset."""
        return Producer(self.epoch, self.last, self.window, offset)

    def marked(self, epoch: int) -> "Producer":
        """Return it after its transaction was ended by a producer of this epoch.

        A higher one shuts out who wrote until now: the next batch must be its first.
        """
        if epoch > self.epoch:
            return Producer(epoch, -1)
        return Producer(self.epoch, self.last, self.window)


def advance(sequence: int, by: int) -> int:
    """Return the sequence number that many records on; after 2^31 - 1 comes 0."""
    return (sequence + by) % (_LARGEST + 1)


def judge(
    producer: Producer | None, *, epoch: int, first: int, count: int, offset: int
) -> Producer | Written | ErrorCode:
    """Decide on a batch that would be stored at an offset.

    Returns:
        the producer's new state if the batch is next, the stored batch that it repeats, or the
        error that Kafka answers.
    """
    last = advance(first, count - 1)
    written = Written(first, last, offset)
    if producer is None:
        # Its state may have expired, so any sequence number begins anew.
        return Producer(epoch, last, (written,))
    if epoch < producer.epoch:
        return ErrorCode.invalid_producer_epoch
    if epoch > producer.epoch:
        if first != 0:
            return ErrorCode.out_of_order_sequence_number
        return Producer(epoch, last, (written,), producer.opened)
    for earlier in producer.window:
        if (earlier.first, earlier.last) == (first, last):
            return earlier
    if first != advance(producer.last, 1):
        return ErrorCode.out_of_order_sequence_number
    window = (*producer.window[1 - REMEMBERED :], written)
    return Producer(epoch, last, window, producer.opened)


def expecting(epoch: int, first: int) -> Producer:
    """Return the state of a producer whose first batch could not be stored.

    Without it the batch sent after would be taken for the producer's first, and the one that is
    sent again would come too late.
    """
    return Producer(epoch, (first - 1) % (_LARGEST + 1))
