"""Signing and checking with Ed25519 (RFC 8032), and how a public key is named."""

import hashlib
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64


class Signer(Protocol):
    """Whoever holds a private key: a file, a card, another machine."""

    @property
    def key_id(self) -> str:
        """The name of the key that it signs with."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, 64 bytes."""


def key_id_of(public: bytes) -> str:
    """Return a key's name: the first half of the SHA-256 of its 32 bytes, in hexadecimal."""
    return hashlib.sha256(public).hexdigest()[:32]


def verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a signature of a message was made with the private half of a public key."""
    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
