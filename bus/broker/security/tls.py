"""The listener with TLS: each handshake on its own, with a time limit, and a reason if it fails."""

import asyncio
import errno
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from bus.errors import InvalidSettings
from bus.principals import PrincipalMapping
from bus.settings import BrokerSettings
from bus.telemetry import Telemetry
from bus.tls import Certificate

HANDSHAKE_SECONDS = 10.0
CLOSE_SECONDS = 5.0
HANDSHAKES = 50  # under way at the most, for each hundred connections that there may be
_FEWEST = 16
_PAUSE = 1.0  # seconds, when the process may open no more files

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

log = logging.getLogger(__name__)

Refused = Callable[[str, str], None]  # host and reason


class TlsListener:
    """Takes connections and hands on those whose handshake succeeds.

    Where too many are under way, the oldest of the host that has most of them is given up: one that
    is meant takes milliseconds, so a flood of them hinders nobody else, nor others on that host.

    Args:
        listener: a socket that listens.
        context: what the handshakes are done with.
        protocol: makes the protocol of a connection.
        refused: told of each handshake that failed.
        connections: how many there may be.
    """

    def __init__(
        self,
        listener: socket.socket,
        context: ssl.SSLContext,
        protocol: Callable[[], asyncio.BaseProtocol],
        refused: Refused,
        *,
        connections: int,
    ) -> None:
        self._listener, self._context = listener, context
        self._protocol, self._refused = protocol, refused
        self._most = max(connections * HANDSHAKES // 100, _FEWEST)
        self._handshakes: dict[asyncio.Task[None], str] = {}
        self._hosts: Counter[str] = Counter()
        self._loop = asyncio.get_running_loop()
        self._accepting = self._loop.create_task(self._accept())
        # Not before the loop has let go of it.
        self._accepting.add_done_callback(lambda _: listener.close())

    def close(self) -> None:
        """Take no more connections."""
        self._accepting.cancel()
        for task in self._handshakes:
            task.cancel()

    async def _accept(self) -> None:
        while True:
            try:
                connection, address = await self._loop.sock_accept(self._listener)
            except OSError as error:
                if error.errno not in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                    log.warning("a connection could not be taken: %s", error)
                else:
                    log.error("no further connection can be taken: %s", error)
                    await asyncio.sleep(_PAUSE)
                continue
            host = str(address[0])
            if len(self._handshakes) >= self._most:
                self._give_one_up()
            task = self._loop.create_task(self._shake_hands(connection, host))
            self._handshakes[task] = host
            self._hosts[host] += 1
            task.add_done_callback(self._ended)
            task.add_done_callback(partial(_closed, connection))

    def _give_one_up(self) -> None:
        ((crowd, _),) = self._hosts.most_common(1)
        oldest = next(task for task, host in self._handshakes.items() if host == crowd)
        self._refused(crowd, "too many handshakes at once")
        oldest.cancel()
        self._ended(oldest)

    def _ended(self, task: asyncio.Task[None]) -> None:
        host = self._handshakes.pop(task, None)
        if host is None:
            return  # it was given up
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]

    async def _shake_hands(self, connection: socket.socket, host: str) -> None:
        try:
            with suppress(OSError):  # it has gone already
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(
                self._protocol,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=CLOSE_SECONDS,
            )
        except OSError as error:
            connection.close()
            self._refused(host, reason(error))


def _closed(connection: socket.socket, handshake: asyncio.Task[None]) -> None:
    """Close what was given up, which may have been before it began."""
    if handshake.cancelled():
        connection.close()


def reason(error: OSError) -> str:
    """Return why a handshake failed, in few words of a small number."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _UNVERIFIED.get(error.verify_code, "the client's certificate is of another CA")
    if isinstance(error, ssl.SSLError):
        return _REASONS.get(error.reason or "", "other")
    if isinstance(error, ConnectionAbortedError):
        return "it took too long"
    return "the client went away"


def lacking(settings: BrokerSettings) -> list[str]:
    """Return what is lacking that would keep strangers out."""
    if settings.certificate_file is None:
        return ["no TLS", "no login"]  # one logs in over TLS alone
    if not settings.sasl_mechanisms and settings.client_certificate != "required":
        return ["no login"]
    return []


def certified(settings: BrokerSettings, telemetry: Telemetry) -> Certificate | None:
    """Return the certificate to listen with; None if there is no TLS.

    Raises:
        InvalidSettings: something of it cannot be used.
    """
    try:
        PrincipalMapping(settings.principal_mapping)
    except ValueError as error:
        raise InvalidSettings(str(error), where="broker.principal_mapping") from error
    if settings.certificate_file is None:
        return None
    if settings.client_certificate != "none" and settings.client_ca_file is None:
        raise InvalidSettings(
            "clients are asked for a certificate, but of whom is not said",
            where="broker.client_ca_file",
            remedy="name the certificates (PEM) that a client's certificate must lead to",
        )
    return Certificate(
        settings.certificate_file,
        settings.key_file,
        setting="broker.certificate_file",
        client_ca_file=settings.client_ca_file,
        client_certificate=settings.client_certificate,
        renewed=lambda usable: telemetry.certificate_reloads.labels(
            "ok" if usable else "error"
        ).inc(),
    )
