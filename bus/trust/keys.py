"""Private keys in files, kept by their owner; public keys, which everybody may have.

A private key is PKCS#8 in PEM, with a passphrase if its owner wants one; a public key is
SubjectPublicKeyInfo in PEM. Both are what openssl and every other tool reads and writes.
"""

import base64
import binascii
import os
import stat
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from bus.errors import Conflict, InvalidKey
from bus.files import write
from bus.trust.signer import PUBLIC_BYTES, key_id_of

PUBLIC_SUFFIX = ".pem"
"""Beside ``city.key`` lies ``city.pem``, as a node's certificate lies beside its key."""

_MOST = 16_384  # bytes of a key file
_SIGN_BIT = 0x7F

_LOW_ORDER = frozenset(
    bytes.fromhex(text)
    for text in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)
"""Points of low order, but for the sign: what they sign anybody can sign."""

Passphrase = Callable[[], bytes]
"""Asks for a passphrase; called only where a key has one."""


class FileSigner:
    """Signs with a private key that lies in a file.

    Args:
        private: the key.
    """

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw()
        self._id = key_id_of(self.public)

    @property
    def key_id(self) -> str:
        """The name of the key that it signs with."""
        return self._id

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, 64 bytes."""
        return self._private.sign(message)

    @classmethod
    def open(cls, file: Path, passphrase: Passphrase | None = None) -> "FileSigner":
        """Return the signer of a key file.

        Args:
            file: a private key in PEM, which nobody but its owner may read.
            passphrase: asks for its passphrase.

        Raises:
            InvalidKey: it cannot be read, others can read or replace it, it is no Ed25519 key, or
                the passphrase is missing or wrong.
        """
        content = _private_content(file)
        encrypted = b"ENCRYPTED" in content
        if encrypted and passphrase is None:
            raise InvalidKey(
                "the key has a passphrase",
                where=str(file),
                remedy="name the file that holds it by --passphrase-file",
            )
        try:
            key = load_pem_private_key(
                content, passphrase() if encrypted and passphrase is not None else None
            )
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise InvalidKey(
                "the passphrase is wrong, or the file is damaged"
                if encrypted
                else "is no private key in PEM",
                where=str(file),
                remedy="`stadtbus key new` makes one",
            ) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise _other_kind(file)
        return cls(key)


def make(file: Path, passphrase: bytes | None = None) -> FileSigner:
    """Make a key: the private half in a file, the public one beside it.

    Args:
        file: where the private half goes; the public one has the same name with ``.pem``.
        passphrase: encrypts the private half.

    Raises:
        Conflict: one of the two files is there; a key is never overwritten.
        InvalidKey: they cannot be written, or the name is the public half's.
    """
    if file.suffix == PUBLIC_SUFFIX:
        raise InvalidKey(
            f"a name that ends in {PUBLIC_SUFFIX} is the public half's",
            where=str(file),
            remedy=f"name it {file.with_suffix('.key').name}",
        )
    if passphrase is not None and not passphrase:
        raise InvalidKey("the passphrase is empty", where=str(file), remedy="leave it out, or set")
    public_file = file.with_suffix(PUBLIC_SUFFIX)
    for one in (file, public_file):
        if one.exists():
            raise Conflict(
                "is there already, and a key is never overwritten",
                where=str(one),
                remedy="choose another name",
            )
    private = Ed25519PrivateKey.generate()
    protection: KeySerializationEncryption = (
        BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    )
    signer = FileSigner(private)
    try:
        write(file, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))
        write(public_file, public_pem(signer.public))
    except OSError as error:
        raise InvalidKey(f"cannot be written: {error.strerror}", where=str(file)) from error
    return signer


def public_pem(public: bytes) -> bytes:
    """Return the PEM of a public key's 32 bytes."""
    key = Ed25519PublicKey.from_public_bytes(public)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_public(file: Path) -> bytes:
    """Return the 32 bytes of a public key's file.

    Raises:
        InvalidKey: it cannot be read, it is a private key, or no Ed25519 key that can be used.
    """
    try:
        content = file.read_bytes()[:_MOST]
    except OSError as error:
        raise InvalidKey(f"cannot be read: {error.strerror}", where=str(file)) from error
    if b"PRIVATE" in content:
        raise InvalidKey(
            "is a private key, which its owner gives to nobody",
            where=str(file),
            remedy=f"name the public half, {file.with_suffix(PUBLIC_SUFFIX).name}",
        )
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidKey("is no public key in PEM", where=str(file)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise _other_kind(file)
    public = key.public_bytes_raw()
    if fault := public_fault(public):
        raise InvalidKey(fault, where=str(file), remedy="`stadtbus key new` makes one")
    return public


def public_text(public: bytes) -> str:
    """Return a public key as statements carry it: base64 of its 32 bytes."""
    return base64.b64encode(public).decode()


def public_of(text: str) -> bytes:
    """Return a public key's 32 bytes from base64.

    Raises:
        ValueError: it is no public key that can be used.
    """
    try:
        public = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("is no base64") from error
    if fault := public_fault(public):
        raise ValueError(fault)
    return public


def public_fault(public: bytes) -> str:
    """Return why nobody should have this public key; empty if nothing speaks against it."""
    if len(public) != PUBLIC_BYTES:
        return f"is no Ed25519 key, which has {PUBLIC_BYTES} bytes"
    if public[:-1] + bytes([public[-1] & _SIGN_BIT]) in _LOW_ORDER:
        return "is a point of low order, for which anybody can sign"
    return ""


def _private_content(file: Path) -> bytes:
    """Return what a file holds that nobody but its owner can read or replace."""
    try:
        opened = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(opened, "rb") as reading:
            mode = os.fstat(reading.fileno()).st_mode  # of what is read, whatever its name is now
            content = reading.read(_MOST)
        folder_mode = file.resolve().parent.stat().st_mode
    except OSError as error:
        raise InvalidKey(
            f"cannot be read: {error.strerror}",
            where=str(file),
            remedy="name the private key's file",
        ) from error
    if stat.S_IMODE(mode) & 0o077:
        raise InvalidKey(
            f"others than its owner can read this key (mode {stat.S_IMODE(mode):04o})",
            where=str(file),
            remedy=f"chmod 600 {file}, and take another key if somebody may have read it",
        )
    if folder_mode & stat.S_IWOTH and not folder_mode & stat.S_ISVTX:
        raise InvalidKey(
            "everybody can put another key in this one's place, as the folder is open to all",
            where=str(file),
            remedy=f"chmod o-w {file.resolve().parent}",
        )
    return content


def _other_kind(file: Path) -> InvalidKey:
    return InvalidKey(
        "is a key of another kind; statements are signed with Ed25519",
        where=str(file),
        remedy="`stadtbus key new` makes one",
    )
