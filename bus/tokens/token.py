"""What a token is: a text for its owner, and a record that does not tell the text. Pure."""

import hashlib
import hmac
import json
import re
import secrets
from dataclasses import asdict, dataclass

from bus.errors import InvalidInput

_TEXT = re.compile(r"stadtbus_([0-9a-f]{16})_([0-9a-f]{48})", re.ASCII)
_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)

ROLES = ("", "viewer", "operator", "administrator")
"""What a token may do on the page; nothing at all without a role."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is kept of a token.

    Args:
        id: its name, which is part of its text and no secret.
        user: the system or user that it is bound to, as the engine's rules call it.
        hash: SHA-256 of its text, in hexadecimal. That is enough for 192 random bits, which nobody
            can guess: a slow hash is for passwords, which people choose.
        issued: when it was made, in milliseconds since 1970.
        until: when it ends, likewise.
        role: what it may do on the page, one of `ROLES`.
    """

    id: str
    user: str
    hash: str
    issued: int
    until: int
    role: str = ""

    def is_of(self, text: str) -> bool:
        """Whether a text is this token's."""
        return hmac.compare_digest(_hash(text), self.hash)

    def record(self) -> bytes:
        """Return it as the topic carries it, under its id as the key."""
        return json.dumps(asdict(self), sort_keys=True).encode()


def made(user: str, *, now: int, until: int, role: str = "") -> tuple[Token, str]:
    """Return a new token, and its text, which is kept nowhere.

    Args:
        user: whom it is bound to.
        now, until: milliseconds since 1970.
        role: what it may do on the page.
    """
    name = secrets.token_hex(8)
    text = f"stadtbus_{name}_{secrets.token_hex(24)}"
    token = Token(id=name, user=user, hash=_hash(text), issued=now, until=until, role=role)
    return token, text


def id_in(text: str) -> str | None:
    """Return the id that a token's text names; None if it has no token's form."""
    found = _TEXT.fullmatch(text)
    return found[1] if found else None


def read_token(key: str, value: bytes) -> Token:
    """Return the token that a record of the topic carries.

    Raises:
        InvalidInput: it carries none.
    """
    try:
        token = Token(**json.loads(value))
        if not (
            token.id == key
            and _ID.fullmatch(token.id)
            and _HASH.fullmatch(token.hash)
            and token.user
            and token.role in ROLES
            and all(isinstance(at, int) for at in (token.issued, token.until))
        ):
            raise ValueError(key)
    except (ValueError, TypeError, RecursionError) as error:
        place = f"the record {key[:40]!r} of the tokens' topic"
        raise InvalidInput("is no token", where=place) from error
    return token


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
