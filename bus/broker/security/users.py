"""Who can log in: the users' credentials in memory, and one for everybody who is no user."""

import hmac
from collections.abc import Iterable, Iterator, Mapping

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
        self._alike: dict[Mechanism, list[Credential]] = {}

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
        self._alike.clear()

    def claimed(self, name: str, mechanism: Mechanism) -> Credential:
        """Return a user's credential, or for a stranger one that nothing proves."""
        pretended = self._pretended(name, mechanism)  # always, as it would take a stranger longer
        return self._known.get((name, mechanism), pretended)

    def proving(self, name: str) -> Credential:
        """Return what proves a password that is sent as it is: the strongest that there is."""
        pretended = self._pretended(name, self._usual(name))
        return next(reversed(self.of(name)), pretended)

    def _usual(self, name: str) -> Mechanism:
        """Return a mechanism that a user of this name could have."""
        kinds = [kind for kind in Mechanism if self._like(kind)] or [Mechanism.SCRAM_SHA_512]
        return kinds[hmac.digest(self._secret, name.encode(), "sha256")[0] % len(kinds)]

    def _like(self, mechanism: Mechanism) -> list[Credential]:
        """Return all credentials of a mechanism, in the order of the users' names."""
        if mechanism not in self._alike:
            of = sorted(name for name, one in self._known if one is mechanism)
            self._alike[mechanism] = [self._known[name, mechanism] for name in of]
        return self._alike[mechanism]

    def _pretended(self, name: str, mechanism: Mechanism) -> Credential:
        """Return what looks like a user's: the same each time, as many iterations, as much salt."""
        seed = hmac.digest(self._secret, f"{mechanism.text} {name}".encode(), "sha512")
        iterations, size = ITERATIONS, SALT_BYTES
        if others := self._like(mechanism):
            like = others[int.from_bytes(seed[:4]) % len(others)]
            iterations, size = like.iterations, len(like.salt)
        salt = b"".join(
            hmac.digest(seed, f"salt {part}".encode(), "sha512") for part in range(size // 64 + 1)
        )[:size]
        return of_salted(mechanism, iterations, salt, seed)
