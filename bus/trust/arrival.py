"""Where and when a signed event arrived: it has to lie where its key says, and in time."""

from bus.errors import NotVerified
from bus.event import partition_of, read_key
from bus.trust.reasons import Reason
from bus.trust.signed import Signed

SKEW_MS = 300_000
"""How far a signer's clock may be ahead of the engine's."""


def check_arrival(
    event: Signed, key: bytes, partition: int, partitions: int, arrived_ms: int, oldest_ms: int
) -> None:
    """Check an event's place and age.

    Args:
        event: as it was signed.
        key: the record's key.
        partition: where the record lies.
        partitions: how many its topic has.
        arrived_ms: when the engine appended it, in milliseconds since 1970: a signature can be
            dated back, the log cannot.
        oldest_ms: how long a signature may be under way, in milliseconds.

    Raises:
        NotVerified: it lies in another partition than its key's, was signed too long ago, or
            later than it arrived.
        UndecodableEvent: the key is none.
    """
    wanted = partition_of(read_key(key), partitions)
    if partition != wanted:
        raise NotVerified(
            f"it lies in partition {partition}, its key leads to {wanted}",
            reason=Reason.OTHER_PARTITION,
        )
    age = arrived_ms - event.mark.at_ms
    if age > oldest_ms:
        raise NotVerified(
            f"it was signed {age // 1000} s before it arrived, allowed are {oldest_ms // 1000}",
            reason=Reason.TOO_OLD,
            remedy="publish it again: it is signed anew then",
        )
    if age < -SKEW_MS:
        raise NotVerified(
            f"it was signed {-age // 1000} s after it arrived",
            reason=Reason.TOO_NEW,
            remedy="set the clock of the system that signs",
        )
