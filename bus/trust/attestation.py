"""The router's word for a record of a feed: that it wrote this, there, under these grants. Pure.

The source's signature says nothing of what the router adds: whose feed it is, which key stands for
the one that was withheld, under which grants and which state of the journal it was sent. All of
that is covered here, so whoever can write to a feed can neither change it nor move it elsewhere.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter

from bus.errors import NotVerified
from bus.kafka import Fetched, Record
from bus.trust.headers import Headers, needed, unique_names
from bus.trust.leaves import joined, present
from bus.trust.reasons import Reason
from bus.trust.signature import Mark
from bus.trust.signer import Signer, verifies

ATTESTATION = "stadtbus-attestation"
GRANT, STATE, SNAPSHOT = "stadtbus-grant", "stadtbus-state", "stadtbus-snapshot"

_DOMAIN = b"stadtbus-attestation-1\0"
_PLACE, _TIME, _LENGTH = struct.Struct(">I"), struct.Struct(">Q"), struct.Struct(">I")


def is_mark(headers: Headers) -> bool:
    """Whether a feed's record is a snapshot's mark, and so neither event nor disclosure."""
    return any(name == SNAPSHOT for name, _ in headers)


def attested(signer: Signer, feed: str, partition: int, record: Record, at_ms: int) -> Record:
    """Return a record of a feed with the header that attests all the rest of it.

    Args:
        signer: holds the router's key.
        feed: the feed's topic.
        partition: where the record goes.
        record: as it is to be written, no header there twice.
        at_ms: this moment, in milliseconds since 1970.
    """
    message = _message(feed, partition, record, signer.key_id, at_ms)
    mark = Mark(signer.key_id, at_ms, signer.sign(message))
    return record._replace(headers=[*record.headers, (ATTESTATION, mark.pack())])


def check_attestation(record: Fetched, public: bytes) -> Mark:
    """Check that the router wrote a record of a feed, there and like this.

    Args:
        record: as it lies on the feed.
        public: the 32 bytes of the router's public key.

    Returns:
        With which key it was attested, and when.

    Raises:
        NotVerified: there is no attestation, it is malformed, or it is not of this record.
    """
    found = unique_names(record.headers)
    if ATTESTATION not in found:
        raise NotVerified("no router attested the event", reason=Reason.UNSIGNED)
    mark = Mark.unpack(needed(found, ATTESTATION), ATTESTATION)
    message = _message(record.topic, record.partition, record, mark.key_id, mark.at_ms)
    if not verifies(public, message, mark.signature):
        raise NotVerified("the attestation is not of this record", reason=Reason.ALTERED)
    return mark


def _message(feed: str, partition: int, record: Record | Fetched, key_id: str, at_ms: int) -> bytes:
    parts: Sequence[bytes] = (
        feed.encode(),
        _PLACE.pack(partition),
        present(record.key),
        present(record.value),
        _headers(record.headers),
        bytes.fromhex(key_id),
        _TIME.pack(at_ms),
    )
    return _DOMAIN + joined(parts)


def _headers(headers: Headers) -> bytes:
    """Return all headers but the attestation, by their names: their order means nothing."""
    in_order = sorted(
        headers, key=itemgetter(0)
    )  # by the names alone, of which none is there twice
    parts = [_header(name, present(value)) for name, value in in_order if name != ATTESTATION]
    return b"".join(parts)


def _header(name: str, value: bytes) -> bytes:
    """Return ``joined([joined([name, value])])``; it is done for every header of every feed."""
    named = _named(name)
    return _LENGTH.pack(len(named) + 4 + len(value)) + named + _LENGTH.pack(len(value)) + value


@lru_cache(1024)  # few names, many records
def _named(name: str) -> bytes:
    return joined([name.encode()])
