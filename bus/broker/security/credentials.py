"""What proves a password, without being it (RFC 5802, section 3)."""

import hashlib
import hmac
import os
from dataclasses import dataclass
from enum import IntEnum

FEWEST_ITERATIONS, MOST_ITERATIONS = 4096, 16384  # as Kafka takes them (KIP-554)
ITERATIONS = 8192  # of users that the broker makes itself
SALT_BYTES = 24


class BadLogin(Exception):
    """A login that is refused.

    Attributes:
        told: what the client may know of the reason; nothing that tells a user from a stranger.
    """

    def __init__(self, reason: str, told: str = "") -> None:
        self.told = told
        super().__init__(reason)


class Mechanism(IntEnum):
    """A SCRAM mechanism, by its number in Kafka's protocol (KIP-554)."""

    SCRAM_SHA_256 = 1
    SCRAM_SHA_512 = 2

    @property
    def hash(self) -> str:
        """The hash function's name, as `hashlib` knows it."""
        return "sha256" if self is Mechanism.SCRAM_SHA_256 else "sha512"

    @property
    def text(self) -> str:
        """The name in SASL."""
        return self.name.replace("_", "-")


@dataclass(frozen=True, slots=True)
class Credential:
    """What is kept of a password: enough to check it, not to log in with."""

    mechanism: Mechanism
    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    def proves(self, password: str) -> bool:
        """Whether this is the password; takes milliseconds."""
        salted = hashlib.pbkdf2_hmac(
            self.mechanism.hash, password.encode(), self.salt, self.iterations
        )
        given = of_salted(self.mechanism, self.iterations, self.salt, salted)
        return hmac.compare_digest(given.stored_key, self.stored_key)


def of_salted(mechanism: Mechanism, iterations: int, salt: bytes, salted: bytes) -> Credential:
    """Return the credential of a password that was salted and hashed already."""
    kind = mechanism.hash
    stored = hashlib.new(kind, hmac.digest(salted, b"Client Key", kind)).digest()
    server = hmac.digest(salted, b"Server Key", kind)
    return Credential(mechanism, iterations, salt, stored, server)


def of_password(
    mechanism: Mechanism, password: str, *, salt: bytes = b"", iterations: int = ITERATIONS
) -> Credential:
    """Return the credential of a password, with a salt of its own if none is given.

    Takes milliseconds.

    The password is taken as its UTF-8 bytes, without the normalisation of SASLprep (RFC 4013):
    neither Kafka nor its clients do it, and who did it would shut those out who do not.
    """
    salt = salt or os.urandom(SALT_BYTES)
    salted = hashlib.pbkdf2_hmac(mechanism.hash, password.encode(), salt, iterations)
    return of_salted(mechanism, iterations, salt, salted)
