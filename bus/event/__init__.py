"""The event, and the wire contract: key, partition, framing and envelope as pure functions.

`docs/wire.md` is the contract in words, `docs/wire-vectors.json` in bytes; this package is both in
code. CloudEvents 1.0, Kafka protocol binding, binary mode; Confluent framing with magic byte 0.
"""

from bus.event.envelope import (
    BAD_BATCH,
    BAD_ENVELOPE,
    CONTENT_TYPE,
    ENVELOPE,
    OWN,
    RESERVED,
    SOURCE,
    Envelope,
    changing,
    check_draft,
    member_of,
    read_envelope,
    read_time,
    unchanging,
    write_time,
)
from bus.event.framing import BAD_FRAME, frame, unframe
from bus.event.keys import BAD_KEY, key_of, murmur2, partition_of, read_key, split_key
from bus.event.values import Draft, Event, Position, Redriven, new_id

__all__ = [
    "BAD_BATCH",
    "BAD_ENVELOPE",
    "BAD_FRAME",
    "BAD_KEY",
    "CONTENT_TYPE",
    "ENVELOPE",
    "OWN",
    "RESERVED",
    "SOURCE",
    "Draft",
    "Envelope",
    "Event",
    "Position",
    "Redriven",
    "changing",
    "check_draft",
    "frame",
    "key_of",
    "member_of",
    "murmur2",
    "new_id",
    "partition_of",
    "read_envelope",
    "read_key",
    "read_time",
    "split_key",
    "unchanging",
    "unframe",
    "write_time",
]
