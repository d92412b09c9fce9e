"""Signed events for tests: a key that everybody knows, and records as a publisher writes them."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.trust.keys import FileSigner
from bus.trust.leaves import SEED_BYTES
from bus.trust.part import Part, part_of
from bus.trust.projection import Projection
from bus.trust.signature import MUNICIPALITY_HEADER, SALTS, SIGNATURE, Claim, sign
from bus.trust.signed import Content, Signed, contents_of, read_whole

TOPIC = "resident.vector.v1"
SIGNER = FileSigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
STRANGER = FileSigner(Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
ROUTER = FileSigner(Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34))))
SEED = bytes(range(64, 64 + SEED_BYTES))
AT_MS = 1_782_864_000_000

Headers = list[tuple[str, bytes]]


class Written(NamedTuple):
    """A record as it lies on a topic, but for its value's frame."""

    key: bytes
    data: bytes | None
    headers: Headers


def envelope(subject: str | None = None, **others: str) -> Headers:
    """Return the headers that every event has."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": "019f1a52-7c00-7000-8000-000000000001",
        "ce_source": "urn:stadtbus:de.mun.092720140140.meldewesen",
        "ce_type": TOPIC,
        "ce_time": "2026-07-01T00:00:00Z",
        "content-type": "application/avro",
        **others,
    }
    if subject is not None:
        headers["ce_subject"] = subject
    return [(name, value.encode()) for name, value in headers.items()]


def written(
    projection: Projection | None,
    data: bytes | None,
    *,
    key: bytes = b"a:1",
    headers: Headers | None = None,
    municipality: bytes | None = None,
    signer: Any = SIGNER,
    seed: bytes = SEED,
) -> Written:
    """Return an event as its source writes it, or a tombstone if there is no data."""
    given = envelope("1") if headers is None else headers
    named = dict(given)
    content = Content(projection, data) if projection and data is not None else None
    claim = Claim(
        named["ce_type"],
        named["ce_id"],
        named["ce_source"],
        named["ce_time"],
        projection.fingerprint if projection else b"",
    )
    leaves = contents_of(key, named.get("ce_subject"), content, municipality)
    signature, salts = sign(signer, claim, leaves, seed=seed, at_ms=AT_MS)
    own = [(SIGNATURE, signature), (SALTS, salts)]
    if municipality is not None:
        own.append((MUNICIPALITY_HEADER, municipality))
    return Written(key, data, [*given, *own])


def whole(record: Written, projection: Projection | None) -> Signed:
    """Return a record as it is read from a shared topic; the signature is not checked."""
    content = Content(projection, record.data) if projection and record.data is not None else None
    return read_whole(TOPIC, record.key, content, record.headers)


def giving(signed: Signed, projection: Projection | None, names: Iterable[str]) -> Part:
    """Return a part of an event that gives these leaves."""
    return part_of(signed, projection, frozenset(names))


def on_a_feed(part: Part, key: bytes = b"own") -> Written:
    """Return a part as a feed has it, with a key of the feed's own where it needs one."""
    fixed = [("ce_specversion", b"1.0"), ("content-type", b"application/avro")]
    return Written(part.key or key, part.data, [*fixed, *part.headers, ("stadtbus-seq", b"f/1")])
