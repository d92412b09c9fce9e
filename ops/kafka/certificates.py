"""Certificates of a secure cluster, made at run time and kept beside its data."""

from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization

from ops.kafka.properties import CONTROLLER


def make(folder: Path) -> tuple[Path, Path]:
    """Return the brokers' keystore and the authority's certificate, both PEM; make them if need be.

    One certificate serves all brokers: they are all at the same address.
    """
    keystore, ca = folder / "keystore.pem", folder / "ca.pem"
    if not (keystore.exists() and ca.exists()):
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1", "localhost", common_name=CONTROLLER)
        authority.cert_pem.write_to_path(ca)
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        keystore.touch(mode=0o600)
        keystore.write_bytes(_pkcs8(issued.private_key_pem.bytes()) + chain)
    return keystore, ca


def _pkcs8(pem: bytes) -> bytes:
    """Return a private key in the only form that Kafka reads."""
    return serialization.load_pem_private_key(pem, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
