"""Who can log in: the users' credentials in memory, and one for everybody who is no user."""

import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bus.broker.security.credentials import (
    ITERATIONS,
    SALT_BYTES,
    Credential,
    Mechanism,
    of_salted,
)

Key = tuple[str, Mechanism]


class Users:
    """The credentials of all users, by name and mechanism.

    Args:
        known: all of them.
        secret: what salts of strangers are derived from, so that they are always the same.
    """

    def __init__(self, known: Mapping[Key, Credential], secret: bytes) -> None:
        self._known, self._secret = dict(known), secret

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({name for name, _ in self._known}))

    def of(self, name: str) -> list[Credential]:
        """Return a user's credentials; none if there is no such user."""
        found = (self._known.get((name, mechanism)) for mechanism in Mechanism)
        return [credential for credential in found if credential is not None]

    def has(self, name: str, mechanism: Mechanism) -> bool:
        """Whether a user can log in by this mechanism."""
        return (name, mechanism) in self._known

    def change(self, upserted: Mapping[Key, Credential], deleted: Iterable[Key]) -> None:
        """Bring this up to what is stored."""
        for key in deleted:
            self._known.pop(key, None)
        self._known |= upserted

    def claimed(self, name: str, mechanism: Mechanism) -> Credential:
        """Return a user's credential, or for a stranger one that nothing proves."""
        return self._known.get((name, mechanism)) or self._pretended(name, mechanism)

    def proving(self, name: str) -> Credential:
        """Return what proves a password that is sent as it is: the strongest that there is."""
        found = self.of(name)
        return found[-1] if found else self._pretended(name, Mechanism.SCRAM_SHA_512)

    def _pretended(self, name: str, mechanism: Mechanism) -> Credential:
        """Return what looks like a user's: the same each time, as many iterations, as much salt."""
        seed = hmac.digest(self._secret, f"{mechanism.text} {name}".encode(), "sha512")
        iterations, size = ITERATIONS, SALT_BYTES
        others: Sequence[Credential] = [
            credential for (_, one), credential in sorted(self._known.items()) if one is mechanism
        ]
        if others:
            like = others[int.from_bytes(seed[:4]) % len(others)]
            iterations, size = like.iterations, len(like.salt)
        salt = b"".join(
            hmac.digest(seed, f"salt {part}".encode(), "sha512") for part in range(size // 64 + 1)
        )[:size]
        return of_salted(mechanism, iterations, salt, seed)
