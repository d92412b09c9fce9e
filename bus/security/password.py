"""Passwords and tokens that the node makes up."""

import secrets


def password() -> bytes:
    """Return a new password or token, of 192 bits, as the line of a file."""
    return secrets.token_urlsafe(24).encode() + b"\n"
