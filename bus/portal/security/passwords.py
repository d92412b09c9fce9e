"""Passwords of local users, hashed with Argon2id (RFC 9106)."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

PARAMETERS = RFC_9106_LOW_MEMORY
"""64 MiB and three passes: RFC 9106's second choice (section 4), above OWASP's least."""


class Passwords:
    """Hashes passwords and compares them; slow and hungry for memory on purpose.

    Args:
        parameters: of Argon2id; a hash that has others is made anew when its password is known.
    """

    def __init__(self, parameters: object = PARAMETERS) -> None:
        self._hasher = PasswordHasher.from_parameters(parameters)  # type: ignore[arg-type]
        self._nobodys = self.hash("nobody's password: who asks for a stranger has to wait, too")

    def hash(self, password: str) -> str:
        """Return the hash of a password, with a salt of its own."""
        return self._hasher.hash(password)

    def matches(self, password: str, hashed: str | None) -> bool:
        """Whether a password is the one of a hash.

        Args:
            password: what somebody says.
            hashed: None: there is no such user; it takes as long, and is none.
        """
        try:
            self._hasher.verify(hashed or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        return hashed is not None

    def outdated(self, hashed: str) -> bool:
        """Whether a hash was made with other parameters."""
        return self._hasher.check_needs_rehash(hashed)
