"""Connections with TLS and SCRAM-SHA-512 by hand (RFC 5802), so that each step can go wrong."""

import asyncio
import base64
import hashlib
import hmac
import secrets
import ssl
from functools import cache
from pathlib import Path
from typing import Any

from bus.settings import Address
from tests.broker.raw import Raw

SASL_HANDSHAKE, SASL_AUTHENTICATE = 17, 36  # API keys
SCRAM = "SCRAM-SHA-512"


async def encrypted(address: Address, ca: Path, *, name: str | None = None) -> Raw:
    """Connect with TLS, trusting this authority alone, and expecting a host of this name."""
    return Raw(
        *await asyncio.open_connection(
            address.host,
            address.port,
            ssl=_context(ca),
            server_hostname=name or address.host,
            limit=2**24,
        )
    )


def _context(ca: Path) -> ssl.SSLContext:
    return _trusting(ca.read_text(encoding="utf-8"))


@cache
def _trusting(authority: str) -> ssl.SSLContext:
    """Return what trusts this authority (PEM) alone; to make it takes longer than a handshake."""
    return ssl.create_default_context(cadata=authority)


async def shake_hands(raw: Raw, mechanism: str) -> Any:
    """Ask to log in by a mechanism; return the answer."""
    return await raw.ask(SASL_HANDSHAKE, 1, mechanism=mechanism)


async def authenticate(raw: Raw, message: bytes) -> Any:
    """Send one message of a mechanism; return the answer."""
    return await raw.ask(SASL_AUTHENTICATE, 2, auth_bytes=message)


async def log_in(raw: Raw, user: str, password: str) -> Any:
    """Log in by SCRAM-SHA-512; return the last answer."""
    assert (await shake_hands(raw, SCRAM)).error_code == 0
    return await prove(raw, user, password)


async def prove(raw: Raw, user: str, password: str) -> Any:
    """Go on with SCRAM-SHA-512, which was agreed on; return the last answer."""
    bare = f"n={user},r={secrets.token_urlsafe(18)}"
    first = await authenticate(raw, f"n,,{bare}".encode())
    if first.error_code:
        return first
    challenge = first.auth_bytes.decode()
    values = dict(part.split("=", 1) for part in challenge.split(","))
    salted = hashlib.pbkdf2_hmac(
        "sha512", password.encode(), base64.b64decode(values["s"]), int(values["i"])
    )
    unproved = f"c={base64.b64encode(b'n,,').decode()},r={values['r']}"
    signed = f"{bare},{challenge},{unproved}".encode()
    key = _hmac(salted, b"Client Key")
    mask = _hmac(hashlib.sha512(key).digest(), signed)
    proof = bytes(one ^ other for one, other in zip(key, mask, strict=True))
    last = await authenticate(raw, f"{unproved},p={base64.b64encode(proof).decode()}".encode())
    if not last.error_code:
        expected = base64.b64encode(_hmac(_hmac(salted, b"Server Key"), signed)).decode()
        assert last.auth_bytes.decode() == f"v={expected}"
    return last


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha512")
