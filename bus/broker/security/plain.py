"""The one message of SASL PLAIN (RFC 4616)."""

from typing import NamedTuple

from bus.broker.security.credentials import BadLogin


class Claim(NamedTuple):
    """Who somebody says that they are, and what they know."""

    user: str
    password: str


def read(message: bytes) -> Claim:
    """Read the message.

    Raises:
        BadLogin: it is none, or the user asks to be somebody else.
    """
    try:
        parts = message.decode().split("\0")
    except UnicodeDecodeError as error:
        raise BadLogin("the message is no text in UTF-8") from error
    if len(parts) != 3:
        raise BadLogin("the message has not three parts")
    authority, user, password = parts
    if not user:
        raise BadLogin("no user is named", told="Authentication failed: username not specified")
    if not password:
        raise BadLogin("no password", told="Authentication failed: password not specified")
    if authority and authority != user:
        reason = "Authentication failed: Client requested an authorization id that is different "
        raise BadLogin("the user asks to be somebody else", told=f"{reason}from username")
    return Claim(user, password)
