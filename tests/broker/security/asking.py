"""Clients of a secured broker, and what it counts of them."""

import asyncio
import socket
import ssl

import trustme

from bus.settings import Address
from tests.broker.raw import Raw
from tests.engines.rights import whole
from tests.secured import HOST, SecuredBroker

VERSIONS = {"client_software_name": "tests", "client_software_version": "1"}


def trusting(broker: SecuredBroker) -> ssl.SSLContext:
    """Return what a client trusts the broker with."""
    return ssl.create_default_context(cafile=str(broker.ca_file))


def showing(broker: SecuredBroker, certificate: trustme.LeafCert) -> ssl.SSLContext:
    """Return the context of a client that has a certificate."""
    context = trusting(broker)
    certificate.configure_cert(context)
    return context


async def connected(broker: SecuredBroker, context: ssl.SSLContext) -> Raw:
    """Connect with TLS."""
    address = broker.address
    return Raw(
        *await asyncio.open_connection(
            address.host, address.port, ssl=context, server_hostname=HOST, limit=2**24
        )
    )


def connect(address: Address, context: ssl.SSLContext) -> None:
    """Connect with a client that says why it goes; asyncio's own does not."""
    with (
        socket.create_connection((address.host, address.port)) as connection,
        context.wrap_socket(connection, server_hostname=HOST),
    ):
        pass


async def served(raw: Raw) -> bool:
    """Say whether one may ask what needs a login."""
    raw.send(3, 9, **whole(3, 9, {}))
    return await raw.answer() != b""


def failures(broker: SecuredBroker, reason: str) -> float:
    """Return how many handshakes failed for a reason."""
    return float(broker.telemetry.handshake_failures.labels("broker", reason)._value.get())
