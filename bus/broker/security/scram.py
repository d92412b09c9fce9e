"""The server's side of SCRAM (RFC 5802, RFC 7677) as three steps without any state of their own.

Channel binding is not offered, as by Kafka: a client that wants it, or that says it saw none
offered where it could do it (``y``), is refused like one that cannot be understood.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from bus.broker.security.credentials import BadLogin, Credential

# RFC 5802, section 7: a name has no "," and "=" only in escapes; what follows the nonce is ignored.
_FIRST = re.compile(
    r"(?P<header>n,(?:a=(?P<authority>[^,]+))?,)"
    r"(?P<bare>n=(?P<name>[^,]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?P<more>(?:,[A-Za-z]+=[^,]+)*))"
)
_LAST = re.compile(
    r"(?P<unproved>c=(?P<binding>[A-Za-z0-9+/=]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)"
    r"(?:,[A-Za-z]+=[^,]+)*),p=(?P<proof>[A-Za-z0-9+/=]+)"
)
_ESCAPE = re.compile("=(2C|3D)?")
_DELEGATED = ",tokenauth=true"  # Kafka's extension for delegation tokens (KIP-48)


@dataclass(frozen=True, slots=True)
class First:
    """A client's first message, read."""

    user: str
    header: str
    bare: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a client was answered first, and what is needed to judge its last message."""

    first: First
    credential: Credential
    nonce: str
    message: bytes


def read_first(message: bytes) -> First:
    """Read a client's first message.

    Raises:
        BadLogin: it is none, or asks for what there is not.
    """
    found = _FIRST.fullmatch(_text(message))
    if found is None:
        raise BadLogin("the first message is none of SCRAM without channel binding")
    user = _name(found["name"])
    if _DELEGATED in found["more"].lower():
        raise BadLogin("there are no delegation tokens")
    if found["authority"] is not None and _name(found["authority"]) != user:
        reason = "Authentication failed: Client requested an authorization id that is different "
        raise BadLogin("the user asks to be somebody else", told=f"{reason}from username")
    return First(user, found["header"], found["bare"], found["nonce"])


def challenge(first: First, credential: Credential, nonce: str = "") -> Challenge:
    """Return the challenge for who claims to have the credential.

    Args:
        first: the client's first message.
        credential: of the user, or one that looks like a user's.
        nonce: the server's part; a new one if empty.
    """
    nonce = first.nonce + (nonce or secrets.token_urlsafe(18))
    salt = base64.b64encode(credential.salt).decode()
    message = f"r={nonce},s={salt},i={credential.iterations}"
    return Challenge(first, credential, nonce, message.encode())


def conclude(asked: Challenge, message: bytes) -> bytes:
    """Return what proves to the client that the server knows its password too.

    Raises:
        BadLogin: the client does not know the password, or says something else.
    """
    found = _LAST.fullmatch(_text(message))
    if found is None:
        raise BadLogin("the last message is none of SCRAM")
    if _decoded(found["binding"]) != asked.first.header.encode():
        raise BadLogin("the channel binding is not that of the first message")
    # Not the same, but its end, as Kafka has it: librdkafka before 2.6 puts its own part in front
    # once more. The proof is over what was sent, so nothing is lost.
    if not found["nonce"].endswith(asked.nonce):
        raise BadLogin("the nonce is not that of the challenge")
    credential, kind = asked.credential, asked.credential.mechanism.hash
    signed = b",".join([asked.first.bare.encode(), asked.message, found["unproved"].encode()])
    mask = hmac.digest(credential.stored_key, signed, kind)
    proof = _decoded(found["proof"])
    if len(proof) != len(mask):
        raise BadLogin("the proof has the wrong length")
    key = bytes(one ^ other for one, other in zip(proof, mask, strict=True))
    if not hmac.compare_digest(hashlib.new(kind, key).digest(), credential.stored_key):
        raise BadLogin("wrong password or no such user")
    return b"v=" + base64.b64encode(hmac.digest(credential.server_key, signed, kind))


def _text(message: bytes) -> str:
    try:
        return message.decode()
    except UnicodeDecodeError as error:
        raise BadLogin("a message is no text in UTF-8") from error


def _name(escaped: str) -> str:
    """Return a name without its escapes (RFC 5802, section 5.1)."""
    if any(found[1] is None for found in _ESCAPE.finditer(escaped)):
        raise BadLogin('a name has "=" without an escape')
    return escaped.replace("=2C", ",").replace("=3D", "=")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise BadLogin("a value is no base64") from error
