"""Passwords of local users, hashed with Argon2id (RFC 9106)."""

from argon2 import Parameters, PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

PARAMETERS = Parameters(
    type=Type.ID,
    version=19,
    salt_len=16,
    hash_len=32,
    time_cost=3,
    memory_cost=2**16,
    parallelism=1,
)
"""64 MiB and three passes as in RFC 9106's second choice (section 4), above OWASP's least.

In one lane instead of four: a login shall not take all processors from the broker.
"""


class Passwords:
    """Hashes passwords and compares them; slow and hungry for memory on purpose.

    Args:
        parameters: of Argon2id; a hash that has others is made anew when its password is known.
    """

    def __init__(self, parameters: object = PARAMETERS) -> None:
        self._hasher = PasswordHasher.from_parameters(parameters)  # type: ignore[arg-type]

    def hash(self, password: str) -> str:
        """Return the hash of a password, with a salt of its own."""
        return self._hasher.hash(password)

    def matches(self, password: str, hashed: str) -> bool:
        """Whether a password is the one of a hash."""
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    def outdated(self, hashed: str) -> bool:
        """Whether a hash was made with other parameters."""
        return self._hasher.check_needs_rehash(hashed)
