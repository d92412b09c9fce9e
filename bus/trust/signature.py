"""The signature of an event: what is signed, and the headers that carry it. Pure."""

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bus.errors import NotVerified
from bus.trust.leaves import (
    DIGEST_BYTES,
    SALT_BYTES,
    SEED_BYTES,
    cut,
    digest_of,
    joined,
    root_of,
    salts_of,
)
from bus.trust.reasons import Reason
from bus.trust.signer import SIGNATURE_BYTES, Signer, verifies

SIGNATURE, SALTS = "stadtbus-signature", "stadtbus-salts"
DIGESTS, WITHHELD = "stadtbus-digests", "stadtbus-withheld"
MUNICIPALITY_HEADER = "stadtbus-municipality"

_DOMAIN = b"stadtbus-event-1\0"
_VERSION = 1
_MARK = struct.Struct(f">B16sQ{SIGNATURE_BYTES}s")
_TIME = struct.Struct(">Q")
_LATEST_MS = 253_370_764_800_000  # 1 January 9999, in any zone a time that can be written
_SEED, _CHOSEN = b"\1", b"\2"


class Claim(NamedTuple):
    """What of an event everybody sees who sees any of it, as it lies on the wire.

    Args:
        topic: the contract's topic.
        id: the event's id (``ce_id``).
        source: who says it (``ce_source``).
        time: when it happened (``ce_time``).
        fingerprint: SHA-256 of the canonical text of the schema; empty for a tombstone.
    """

    topic: bytes
    id: bytes
    source: bytes
    time: bytes
    fingerprint: bytes


class Mark(NamedTuple):
    """What the header ``stadtbus-signature`` says, and ``stadtbus-attestation`` likewise.

    Args:
        key_id: which key it was made with.
        at_ms: when, in milliseconds since 1970; the signer's clock.
        signature: Ed25519, 64 bytes.
    """

    key_id: str
    at_ms: int
    signature: bytes

    def pack(self) -> bytes:
        """Return the header's value."""
        key_id = bytes.fromhex(self.key_id)
        return _MARK.pack(_VERSION, key_id, self.at_ms, self.signature)

    @classmethod
    def unpack(cls, value: bytes, header: str = SIGNATURE) -> "Mark":
        """Read the header's value.

        Args:
            value: as it lies in the record.
            header: what errors call it.

        Raises:
            NotVerified: it is of another length or version, or its time is none.
        """
        if len(value) != _MARK.size:
            raise malformed(f"{header} has {len(value)} bytes, not {_MARK.size}")
        version, key_id, at_ms, signature = _MARK.unpack(value)
        if version != _VERSION:
            raise malformed(f"{header} is of version {version}; known is {_VERSION}")
        if at_ms >= _LATEST_MS:
            raise malformed(f"{header} has a time that no calendar has: {at_ms} ms")
        return cls(key_id.hex(), at_ms, signature)


def sign(
    signer: Signer,
    claim: Claim,
    leaves: Sequence[tuple[str, bytes]],
    *,
    seed: bytes,
    at_ms: int,
) -> tuple[bytes, bytes]:
    """Return the values of the headers ``stadtbus-signature`` and ``stadtbus-salts``.

    Args:
        signer: holds the private key.
        claim: what everybody sees of the event.
        leaves: names and contents of what a feed may withhold, in their order.
        seed: 32 bytes from the system's source of randomness, for this event alone.
        at_ms: this moment, in milliseconds since 1970.
    """
    salts = salts_of(seed, len(leaves))
    digests = [
        digest_of(salt, name, content) for salt, (name, content) in zip(salts, leaves, strict=True)
    ]
    signature = signer.sign(_message(claim, signer.key_id, at_ms, digests))
    return Mark(signer.key_id, at_ms, signature).pack(), _SEED + seed


def holds(claim: Claim, mark: Mark, digests: Sequence[bytes], public: bytes) -> bool:
    """Whether a signature over a claim and all its leaves was made with a key."""
    message = _message(claim, mark.key_id, mark.at_ms, digests)
    return verifies(public, message, mark.signature)


def read_seed(value: bytes) -> bytes:
    """Return the seed of a whole event's salts from ``stadtbus-salts``.

    Raises:
        NotVerified: it is none.
    """
    if value[:1] != _SEED or len(value) != 1 + SEED_BYTES:
        raise malformed(f"{SALTS} is no seed of {SEED_BYTES} bytes")
    return value[1:]


def read_salts(value: bytes, count: int) -> list[bytes]:
    """Return the salts of what a feed's event gives from ``stadtbus-salts``.

    Raises:
        NotVerified: there is not one for each.
    """
    if value[:1] != _CHOSEN or len(value) != 1 + SALT_BYTES * count:
        raise malformed(f"{SALTS} does not have one salt for each of {count} parts given")
    return cut(value[1:], SALT_BYTES)


def write_salts(salts: Iterable[bytes]) -> bytes:
    """Return ``stadtbus-salts`` for an event of a feed: the salts of what is given."""
    return _CHOSEN + b"".join(salts)


def read_digests(value: bytes, count: int) -> list[bytes]:
    """Return the digests of what a feed's event withholds from ``stadtbus-digests``.

    Raises:
        NotVerified: there is not one for each.
    """
    if len(value) != DIGEST_BYTES * count:
        raise malformed(f"{DIGESTS} does not have one digest for each of {count} parts withheld")
    return cut(value, DIGEST_BYTES)


def malformed(what: str) -> NotVerified:
    """Return the error for headers that no signer of ours has written."""
    return NotVerified(what, reason=Reason.MALFORMED)


def _message(claim: Claim, key_id: str, at_ms: int, digests: Sequence[bytes]) -> bytes:
    key, at = bytes.fromhex(key_id), _TIME.pack(at_ms)
    return _DOMAIN + joined((*claim, key, at, root_of(digests)))
