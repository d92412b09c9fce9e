"""A certificate authority for one town, and certificates that it signs (RFC 5280)."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bus.errors import InvalidSettings

AUTHORITY_DAYS = 3650
NODE_DAYS = 365

_EARLIER = timedelta(hours=1)
"""A certificate counts from a while ago: not every machine's clock is right."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes


def authority(name: str, now: datetime) -> Pair:
    """Return a new authority, which signs itself.

    Args:
        name: what people shall read in its certificate.
        now: from when it counts, UTC.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = _usage(key_cert_sign=True, crl_sign=True)
    signed = (
        _draft(subject, subject, key.public_key(), now, timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return Pair(_pem(signed), _key_pem(key))


def issue(by: Pair, names: Iterable[str], now: datetime, *, key: bytes | None = None) -> Pair:
    """Return a certificate for a node.

    Args:
        by: the authority.
        names: the hosts and addresses that clients reach the node by.
        now: from when it counts, UTC.
        key: the key (PEM) that it already has; a new one is made if None.
    """
    parent = x509.load_pem_x509_certificate(by.certificate)
    signer = _elliptic(by.key)
    own = ec.generate_private_key(ec.SECP256R1()) if key is None else _elliptic(key)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stadtbus")])
    days = min(timedelta(days=NODE_DAYS), parent.not_valid_after_utc - now)
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    signed = (
        _draft(subject, parent.subject, own.public_key(), now, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(usages, critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.SubjectAlternativeName(map(_general, sorted(names))), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return Pair(_pem(signed), _key_pem(own))


def names(certificate: bytes) -> frozenset[str]:
    """Return the hosts and addresses that a certificate (PEM) bears."""
    found = x509.load_pem_x509_certificate(certificate)
    try:
        borne = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    hosts = borne.get_values_for_type(x509.DNSName)
    return frozenset(hosts) | {str(ip) for ip in borne.get_values_for_type(x509.IPAddress)}


def expiry(file: Path) -> datetime:
    """Return until when the first certificate in a file (PEM) counts, UTC.

    Raises:
        InvalidSettings: the file cannot be read, or holds no certificate.
    """
    try:
        return x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:
        reason = (
            getattr(error, "strerror", None) or "it holds no certificate in PEM's form"
        ).lower()
        raise InvalidSettings(f"cannot be read: {reason}", where=str(file)) from error


def _draft(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    days: timedelta,
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before((now - _EARLIER).astimezone(UTC))
        .not_valid_after((now + days).astimezone(UTC))
        .add_extension(identifier, critical=False)
    )


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _elliptic(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("it is no key of an elliptic curve")
    return key


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
