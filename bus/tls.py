"""TLS of a listener: from 1.2 on, with a certificate that is read anew once its file changes."""

import logging
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from bus.errors import InvalidSettings
from bus.settings import ListenerSettings

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between two looks at the files, at the least."""

_ASKED = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}

# What OpenSSL calls it, and what it means here.
_REASONS = {
    "WRONG_VERSION_NUMBER": "no TLS",
    "HTTP_REQUEST": "no TLS",
    "HTTPS_PROXY_REQUEST": "no TLS",
    "UNKNOWN_PROTOCOL": "no TLS",
    "PACKET_LENGTH_TOO_LONG": "no TLS",
    "RECORD_LAYER_FAILURE": "no TLS",
    "UNEXPECTED_MESSAGE": "no TLS",
    "BAD_RECORD_TYPE": "no TLS",
    "UNSUPPORTED_PROTOCOL": "TLS older than 1.2",
    "VERSION_TOO_LOW": "TLS older than 1.2",
    "NO_SHARED_CIPHER": "no cipher in common",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no client certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "the client does not trust our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the client does not accept our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "our certificate has expired, says the client",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the client does not accept our certificate",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the client wants another version of TLS",
}

# What OpenSSL calls a client's certificate that it does not verify (X509_V_ERR_…).
_UNVERIFIED = {
    9: "the client's certificate is not valid yet",
    10: "the client's certificate has expired",
}

_State = tuple[tuple[int, int, int], ...]


class Certificate:
    """A listener's certificate and key, as they lie in their files.

    Whoever connects next is shown what the files hold then: a certificate is renewed by replacing
    its file, and connections that are open stay. Files that cannot be used, such as half a pair,
    are logged, and the last good ones stay in use until they can.

    Args:
        certificate_file: PEM, with the certificates between it and the CA.
        key_file: its key; in the same file if None.
        setting: the setting that names the certificate, for error messages.
        client_ca_file: PEM; what certificates of clients must lead to.
        client_certificate: whether clients are asked for one, as the settings say it.
        renewed: told of each look at files that have changed, whether they can be used.
        clock: seconds that only go forward.

    Raises:
        InvalidSettings: certificate or key cannot be used.
    """

    def __init__(
        self,
        certificate_file: Path,
        key_file: Path | None,
        *,
        setting: str,
        client_ca_file: Path | None = None,
        client_certificate: str = "none",
        renewed: Callable[[bool], None] = lambda usable: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._certificate, self._key, self._setting = certificate_file, key_file, setting
        self._authority = client_ca_file if client_certificate != "none" else None
        self._asked = _ASKED[client_certificate]
        self._clock, self._looked = clock, clock()
        self._renewed = renewed
        self._state = self._seen()
        self._newest = self._load()
        self.context = self._newest
        """What the listener is given; each handshake on it goes on with the newest files."""

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        _show(context, self._certificate, self._key, setting=self._setting)
        if self._authority is not None:
            self._ask(context, self._authority)
        context.sni_callback = self._shake_hands
        return context

    def _ask(self, context: ssl.SSLContext, authority: Path) -> None:
        try:
            context.load_verify_locations(authority)
        except (OSError, ValueError) as error:
            raise InvalidSettings(
                f"the clients' CA cannot be used: {reason(error)}",
                where=f"{self._setting.replace('certificate_file', 'client_ca_file')}, {authority}",
                remedy="name certificates in PEM's form that this user may read",
            ) from error
        context.verify_mode = self._asked
        # Who was let in before is looked at again: its certificate may have expired since.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0

    def _shake_hands(
        self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext
    ) -> None:
        """Go on with the newest files; OpenSSL asks here whether or not a name was sent."""
        self._look()
        if context is not self._newest:
            connection.context = self._newest

    def _look(self) -> None:
        now = self._clock()
        if now - self._looked < LOOK:
            return
        self._looked = now
        if (state := self._seen()) == self._state:
            return
        self._state = state  # files that cannot be used are told once, until they change again
        try:
            self._newest = self._load()
        except InvalidSettings as error:
            log.warning("the last good certificate stays in use: %s", error)
            self._renewed(False)
        else:
            log.info("%s: a new certificate is in use", self._setting)
            self._renewed(True)

    def _seen(self) -> _State:
        files = (self._certificate, self._key, self._authority)
        return tuple(_identity(file) for file in files if file is not None)


def _identity(file: Path) -> tuple[int, int, int]:
    try:
        found = file.stat()
    except OSError:
        return (0, 0, 0)  # why it cannot be read is said by who reads it
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def reason(error: Exception) -> str:
    """Return why a certificate or key cannot be used, without OpenSSL's numbers."""
    if isinstance(error, ssl.SSLError):
        if error.reason is None:
            return "there is none in PEM's form"
        words = error.reason.replace("_", " ").lower()
        return "the key is none of the certificate's" if "mismatch" in words else words
    return str(getattr(error, "strerror", None) or error).lower()


def certified(
    settings: ListenerSettings, name: str, renewed: Callable[[bool], None]
) -> Certificate | None:
    """Return the certificate to listen with; None if there is no TLS.

    Args:
        settings: the listener's.
        name: its section in the settings.
        renewed: as `Certificate` has it.

    Raises:
        InvalidSettings: something of it cannot be used.
    """
    if settings.certificate_file is None:
        return None
    if settings.client_certificate != "none" and settings.client_ca_file is None:
        raise InvalidSettings(
            "clients are asked for a certificate, but of whom is not said",
            where=f"{name}.client_ca_file",
            remedy="name the certificates (PEM) that a client's certificate must lead to",
        )
    return Certificate(
        settings.certificate_file,
        settings.key_file,
        setting=f"{name}.certificate_file",
        client_ca_file=settings.client_ca_file,
        client_certificate=settings.client_certificate,
        renewed=renewed,
    )


def failure(error: OSError) -> str:
    """Return why a handshake failed, in few words of a small number."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _UNVERIFIED.get(error.verify_code, "the client's certificate is of another CA")
    if isinstance(error, ssl.SSLError):
        return _REASONS.get(error.reason or "", "other")
    if isinstance(error, ConnectionAbortedError):
        return "it took too long"
    return "the client went away"


def client_context(
    ca_file: Path | None, certificate: tuple[Path, Path | None] | None, *, setting: str
) -> ssl.SSLContext:
    """Return what a client speaks TLS with.

    Args:
        ca_file: certificates (PEM) that the other side's must lead to; the system's if None.
        certificate: our own and its key, if it is to be shown.
        setting: the setting that names the first, for error messages.

    Raises:
        InvalidSettings: a file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        raise InvalidSettings(
            f"cannot be used: {getattr(error, 'strerror', None) or error}",
            where=f"{setting}, {ca_file}",
            remedy="name a file with certificates, in PEM's form, that this user may read",
        ) from error
    if certificate is not None:
        _show(context, *certificate, setting="kafka.certificate_file")
    return context


def _show(context: ssl.SSLContext, certificate: Path, key: Path | None, *, setting: str) -> None:
    """Have our own certificate shown to the other side."""
    try:
        # A password that fits no key: without one OpenSSL would ask at the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        raise InvalidSettings(
            f"certificate or key cannot be used: {reason(error)}",
            where=f"{setting}, {certificate}",
            remedy="name a certificate and its own key, in PEM's form, that this user may read",
        ) from error
