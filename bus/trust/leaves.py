"""What a signature covers, as salted digests, of which none tells what it stands for.

Each part of an event that a feed may withhold is a leaf. The root over all leaves is signed, so a
recipient needs the contents of what was given and the digests alone of what was not. Without its
salt, of 128 random bits, a digest cannot be tried against guesses. `docs/wire.md`, "Signatures".
"""

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256, sha512
from typing import NamedTuple

SEED_BYTES, SALT_BYTES, DIGEST_BYTES = 32, 16, 32

KEY, SUBJECT, MUNICIPALITY = "@key", "@subject", "@municipality"
"""Leaves of the envelope; no field of an Avro record can have such a name."""

# What is hashed for one purpose must never be taken for what is hashed for another.
_SALTS, _LEAF, _ROOT = b"stadtbus-salts-1\0", b"stadtbus-leaf-1\0", b"stadtbus-root-1\0"
_COUNT = struct.Struct(">I")
_PER_HASH = 64 // SALT_BYTES


class Leaf(NamedTuple):
    """One part of an event that is given or withheld as a whole.

    Args:
        name: a top-level field's, or `KEY`, `SUBJECT` or `MUNICIPALITY`.
        digest: what the root is made of.
        content: the bytes; None if they are withheld.
        salt: what the digest was salted with; None if it is withheld.
    """

    name: str
    digest: bytes
    content: bytes | None
    salt: bytes | None


def leaf(name: str, content: bytes, salt: bytes) -> Leaf:
    """Return the leaf of what is given."""
    return Leaf(name, digest_of(salt, name, content), content, salt)


def salts_of(seed: bytes, count: int) -> list[bytes]:
    """Return the first salts that follow from an event's seed; four come from one hash."""
    start = _SALTS + seed
    hashes = [sha512(start + _COUNT.pack(n)).digest() for n in range(-(-count // _PER_HASH))]
    return cut(b"".join(hashes), SALT_BYTES)[:count]


def digest_of(salt: bytes, name: str, content: bytes) -> bytes:
    """Return the digest of one leaf."""
    return sha256(_LEAF + salt + _named(name) + content).digest()


def root_of(digests: Sequence[bytes]) -> bytes:
    """Return the digest over all leaves, in their order."""
    return sha256(_ROOT + _COUNT.pack(len(digests)) + b"".join(digests)).digest()


def present(content: bytes | None) -> bytes:
    """Return the content of a leaf for something that may be missing."""
    return b"\0" if content is None else b"\1" + content


def cut(data: bytes, size: int) -> list[bytes]:
    """Return data in pieces of one size."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def joined(parts: Iterable[bytes]) -> bytes:
    """Return parts as one, each with its length in front, so that no two lists give the same."""
    return b"".join([_COUNT.pack(len(part)) + part for part in parts])


@lru_cache(4096)  # the fields of contracts: few, and the same for every event
def _named(name: str) -> bytes:
    return joined([name.encode()])
