"""HTTP Basic (RFC 7617), by which programs say who asks. Pure."""

import base64
import binascii

LONGEST = 1000
"""Characters of a name and a password together."""


def login_of(authorization: str) -> tuple[str, str] | None:
    """Return the name and the password of a header ``Authorization``; None if it has none."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(token.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    name, colon, password = text.partition(":")
    return (name, password) if name and colon and len(text) <= LONGEST else None
