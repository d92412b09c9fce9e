"""What answers at an engine's addresses, asked in Kafka's protocol before a client is let loose.

Clients try again and again and keep to themselves why: an address that is no Kafka, TLS where there
is none, a certificate that leads nowhere, a version too old. One request tells all of these.
"""

import asyncio
import ssl
import struct
from collections.abc import Mapping
from typing import NamedTuple

from bus.errors import BusError, BusUnavailable, InvalidSettings, NotAuthenticated
from bus.principals import OWN_CLIENTS
from bus.settings import Address, KafkaSettings

SECONDS = 3.0
"""Seconds that one address has for a connection, and then for an answer."""

OLDEST = "2.4"
"""The oldest Apache Kafka that will do: the first that chooses a topic's replicas (KIP-464)."""

# API keys and the versions that an engine has to serve at the least: record batches with headers
# (Produce 3, Fetch 4), numbered producers (InitProducerId), default replicas (CreateTopics 4).
_NEEDED = {0: ("Produce", 3), 1: ("Fetch", 4), 22: ("InitProducerId", 0), 19: ("CreateTopics", 4)}

_SASL_HANDSHAKE = 17
_UNSUPPORTED_MECHANISM, _ILLEGAL_STATE = 33, 34  # error codes
_CORRELATION = 1
_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED
_LARGEST = 64 * 1024


class _Silent(Exception):
    """The connection was closed, or ended, without an answer."""


class _NoHandshake(Exception):
    """The connection was closed before any of our bytes were answered."""


class _Answer(NamedTuple):
    """The highest version of each API, the handshake's error, and the ways to log in."""

    served: Mapping[int, int]
    error: int
    mechanisms: tuple[str, ...]


class _Foreign(Exception):
    """The answer is none of Kafka's."""


async def probe(kafka: KafkaSettings) -> None:
    """Return once one of the addresses answers as the settings say that it does.

    Raises:
        BusUnavailable: nobody listens, nobody answers, or who answers is no Kafka.
        InvalidSettings: a file or the login cannot be used, TLS or a login where there is none or
            the reverse, or Kafka is too old.
        NotAuthenticated: its certificate cannot be verified, it wants one of ours, or another
            way to log in.
    """
    if kafka.security_protocol.startswith("SASL"):
        kafka.login()  # refused before anybody is asked
    context = tls(kafka) if kafka.security_protocol.endswith("SSL") else None
    refusals: list[BusError] = []
    for text in kafka.bootstrap.split(","):
        try:
            return await _probe(Address.parse(text), kafka, context)
        except BusError as refusal:
            refusals.append(refusal)
    # What is wrong with the settings tells more than that another address is away.
    raise min(refusals, key=lambda refusal: refusal.retriable)


def tls(kafka: KafkaSettings) -> ssl.SSLContext:
    """Return how to speak TLS with the engine.

    Raises:
        InvalidSettings: a certificate or key cannot be used.
    """
    if kafka.key_file is not None and kafka.certificate_file is None:
        raise InvalidSettings(
            "a key without its certificate",
            where="kafka.key_file",
            remedy="set kafka.certificate_file, too",
        )
    try:
        context = ssl.create_default_context(cafile=kafka.ca_file)
        if kafka.certificate_file is not None:
            context.load_cert_chain(kafka.certificate_file, kafka.key_file)
    except (OSError, ValueError) as error:
        raise InvalidSettings(
            f"certificate or key cannot be used: {error}",
            where="kafka.ca_file, kafka.certificate_file, kafka.key_file",
            remedy="name files in PEM's form that this user may read",
        ) from error
    return context


async def _probe(address: Address, kafka: KafkaSettings, context: ssl.SSLContext | None) -> None:
    where, protocol = str(address), kafka.security_protocol
    try:
        answer = await _ask(address, context, _mechanism(kafka))
    except ssl.SSLCertVerificationError as error:
        raise NotAuthenticated(
            f"its certificate cannot be verified: {error.verify_message}",
            where=where,
            remedy=remedy_for(error, "kafka.ca_file"),
        ) from error
    except (ssl.SSLError, _NoHandshake) as error:
        raise await _without_tls(address, protocol, error) from error
    except (_Silent, _Foreign) as error:
        raise await _no_answer(address, protocol, context, error) from error
    except TimeoutError as error:
        raise BusUnavailable(
            f"it takes connections, but gives no answer in {SECONDS:g} s",
            where=where,
            remedy="see whether this is the engine's address, and whether the broker hangs",
        ) from error
    except UnicodeError as error:
        raise InvalidSettings(
            "is no host's name", where=where, remedy="check kafka.bootstrap"
        ) from error
    except OSError as error:
        raise BusUnavailable(
            f"no broker answers: {error.strerror or error}",
            where=where,
            remedy="check kafka.bootstrap, and that the broker runs",
        ) from error
    _refuse_old(answer.served, where)
    _refuse_login(answer, kafka, where)


def remedy_for(error: ssl.SSLCertVerificationError, setting: str) -> str:
    """Return what to do where a certificate could not be verified.

    Args:
        error: why not.
        setting: which names the certificates that are trusted.
    """
    if error.verify_code == _EXPIRED:
        return "have it renewed: `stadtbus certificate renew`, where a secured node made it"
    return (
        f"name the certificates that it leads to in {setting}, and reach it by a name that its "
        "certificate bears"
    )


async def _ask(address: Address, context: ssl.SSLContext | None, mechanism: str = "") -> _Answer:
    """Ask which APIs are served, then how to log in; nothing but a socket is believed."""
    try:
        async with asyncio.timeout(SECONDS):
            reader, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
    except (ConnectionResetError, ConnectionAbortedError) as error:
        raise _NoHandshake(str(error)) from error
    try:
        async with asyncio.timeout(SECONDS):
            served = _read_versions(await _exchange(reader, writer, 18, 0, b""))
            if _SASL_HANDSHAKE not in served:
                return _Answer(served, _ILLEGAL_STATE, ())
            wanted = struct.pack(">h", len(mechanism)) + mechanism.encode()
            return _read_handshake(served, await _exchange(reader, writer, 17, 1, wanted))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        # In TLS 1.3 who asks for a certificate says so only after the handshake.
        if isinstance(alert := reader.exception(), ssl.SSLError):
            raise alert from error
        raise _Silent from error
    finally:
        writer.transport.abort()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: int, version: int, body: bytes
) -> bytes:
    """Send a request and return its answer, without size and correlation id."""
    client_id = f"{OWN_CLIENTS}probe".encode()
    request = struct.pack(">hhih", key, version, _CORRELATION, len(client_id)) + client_id + body
    writer.write(struct.pack(">i", len(request)) + request)
    await writer.drain()
    size, correlation = struct.unpack(">ii", await reader.readexactly(8))
    if not 4 <= size <= _LARGEST or correlation != _CORRELATION:
        raise _Foreign(struct.pack(">i", size))
    return await reader.readexactly(size - 4)


def _read_versions(answer: bytes) -> Mapping[int, int]:
    """Read an ApiVersions answer, version 0 (Kafka's protocol guide)."""
    if len(answer) < 6 or (len(answer) - 6) % 6:
        raise _Foreign(answer[:4])
    return {key: highest for key, _, highest in struct.iter_unpack(">hhh", answer[6:])}


def _read_handshake(served: Mapping[int, int], answer: bytes) -> _Answer:
    """Read a SaslHandshake answer, version 1 (Kafka's protocol guide)."""
    try:
        code, count = struct.unpack_from(">hi", answer)
        mechanisms, start = [], 6
        for _ in range(count):
            (length,) = struct.unpack_from(">h", answer, start)
            mechanisms.append(answer[start + 2 : start + 2 + length].decode())
            start += 2 + length
    except (struct.error, UnicodeDecodeError) as error:
        raise _Foreign(answer[:4]) from error
    return _Answer(served, code, tuple(mechanisms))


def _mechanism(kafka: KafkaSettings) -> str:
    """Return how to log in; nothing where the settings say that there is no login."""
    return kafka.sasl_mechanism if kafka.security_protocol.startswith("SASL") else ""


async def _without_tls(address: Address, protocol: str, error: Exception) -> BusError:
    """Return the error for a failed handshake: most often there is no TLS at all."""
    where = str(address)
    try:
        await _ask(address, None)
    except (_Silent, _Foreign, _NoHandshake, OSError, TimeoutError):
        if _is_about_ours(error):
            return NotAuthenticated(
                "it wants a certificate of ours, or does not take the one that it got",
                where=where,
                remedy="check kafka.certificate_file and kafka.key_file",
            )
        return BusUnavailable(
            f"TLS fails: {str(error) or 'the connection was closed'}",
            where=where,
            remedy="see whether this is the engine's address, and which TLS it speaks",
        )
    return InvalidSettings(
        f"it speaks Kafka without TLS, but kafka.security_protocol is {protocol}",
        where=where,
        remedy=f"set kafka.security_protocol to {protocol.replace('SSL', 'PLAINTEXT')}",
    )


def _is_about_ours(error: Exception) -> bool:
    """Whether an alert of TLS is about our certificate (RFC 8446, section 6.2; Java: "bad")."""
    said = str(error).lower().replace("_", " ")
    return "alert" in said and "certificate" in said


async def _no_answer(
    address: Address, protocol: str, context: ssl.SSLContext | None, error: Exception
) -> BusError:
    """Return the error for a connection that gave no answer, or none of Kafka's."""
    where = str(address)
    if context is None and await _speaks_tls(address):
        wanted = "SASL_SSL" if protocol.startswith("SASL") else "SSL or SASL_SSL"
        return InvalidSettings(
            f"it speaks TLS, but kafka.security_protocol is {protocol}",
            where=where,
            remedy=f"set kafka.security_protocol to {wanted}",
        )
    if isinstance(error, _Foreign) and error.args[0] == b"HTTP":
        what = "it answers in HTTP: this is no Kafka"
    elif isinstance(error, _Foreign):
        what = "what it answers is not Kafka's protocol"
    else:
        what = "it closes the connection instead of answering: this is no Kafka, or it is starting"
    return BusUnavailable(what, where=where, remedy="check kafka.bootstrap")


async def _speaks_tls(address: Address) -> bool:
    """Whether a handshake succeeds; whose certificate it is does not matter here."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(SECONDS):
            _, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    return True


def _refuse_old(served: Mapping[int, int], where: str) -> None:
    for key, (name, needed) in _NEEDED.items():
        highest = served.get(key, -1)
        if highest < needed:
            found = "does not serve it" if highest < 0 else f"serves versions up to {highest}"
            raise InvalidSettings(
                f"its Kafka is too old: {name} version {needed} is needed, and it {found}",
                where=where,
                remedy=f"Apache Kafka {OLDEST} or later is needed",
            )


def _refuse_login(answer: _Answer, kafka: KafkaSettings, where: str) -> None:
    """Refuse what the settings say of the login where the engine wants another, or none."""
    protocol, offered = kafka.security_protocol, ", ".join(answer.mechanisms)
    asked, wanted = protocol.startswith("SASL"), answer.error != _ILLEGAL_STATE
    if asked and not wanted:
        raise InvalidSettings(
            f"it asks for no login, but kafka.security_protocol is {protocol}",
            where=where,
            remedy=f"set kafka.security_protocol to {_LOGGED_IN_AS[protocol]}",
        )
    if wanted and not asked:
        raise InvalidSettings(
            f"it asks for a login by {offered}, but kafka.security_protocol is {protocol}",
            where=where,
            remedy=f"set kafka.security_protocol to {_LOGGED_IN_AS[protocol]}, "
            "kafka.username and kafka.password_file",
        )
    if answer.error == _UNSUPPORTED_MECHANISM:
        raise NotAuthenticated(
            f"it offers a login by {offered}, not by {kafka.sasl_mechanism}",
            where=where,
            remedy="set kafka.sasl_mechanism to one that it offers",
        )


_LOGGED_IN_AS = {
    "PLAINTEXT": "SASL_PLAINTEXT",
    "SSL": "SASL_SSL",
    "SASL_PLAINTEXT": "PLAINTEXT",
    "SASL_SSL": "SSL",
}
"""The same connection with a login, or without."""
