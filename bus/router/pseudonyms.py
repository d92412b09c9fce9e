"""Names that stand on a feed for what its recipient is not to know by its own. Pure.

The same person or key has the same name on all that an owner gives a recipient, and another one for
every other owner or recipient: two of them cannot find out that they hear of the same person by
laying their feeds side by side.
"""

import hmac
from uuid import UUID

from bus.errors import InvalidSettings
from bus.trust.leaves import joined

SECRET_BYTES = 32

_DOMAIN = b"stadtbus-pseudonym-1\0"
_VERSION, _VARIANT = 8, 0b10


class Pseudonyms:
    """Makes such names with HMAC-SHA-256.

    Args:
        secret: at least 32 random bytes, the same for all routers of a bus and for good: with
            another one every recipient would take everybody for new.

    Raises:
        InvalidSettings: the secret is too short.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SECRET_BYTES:
            raise InvalidSettings(
                f"the secret for pseudonyms has {len(secret)} bytes",
                remedy=f"give at least {SECRET_BYTES} random ones",
            )
        self._secret = secret

    def subject(self, owner: str, recipient: str, subject: str) -> str:
        """Return what a subject is called on a recipient's feeds, on those of all contracts."""
        return self._made("subject", owner, recipient, subject).hex()

    def key(self, owner: str, recipient: str, topic: str, key: str) -> str:
        """Return the key of a recipient's feed that stands for one of the contract's topic.

        It is of one contract: keys that are alike on two tell a recipient nothing.
        """
        return self._made("key", owner, recipient, topic, key).hex()

    def event(self, feed: str, key: bytes, cause: str) -> str:
        """Return the id of an event of the router's own, a UUID of version 8 (RFC 9562).

        Args:
            feed: the feed's topic.
            key: the key there.
            cause: what brought it about: the same gives the same id, so a repeat is known as one.
        """
        made = int.from_bytes(self._made("event", feed, key.hex(), cause), "big")
        made = made & ~(0xF << 76) | _VERSION << 76
        return str(UUID(int=made & ~(0b11 << 62) | _VARIANT << 62))

    def _made(self, *parts: str) -> bytes:
        message = _DOMAIN + joined([part.encode() for part in parts])
        return hmac.digest(self._secret, message, "sha256")[:16]
