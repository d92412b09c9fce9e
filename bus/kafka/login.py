"""Whether an engine knows a user by a password: asked by logging in."""

import asyncio

from aiokafka import errors as foreign
from aiokafka.conn import CloseReason, create_conn

from bus.errors import BusError, BusUnavailable
from bus.probe import tls
from bus.settings import Address, KafkaSettings

SECONDS = 10.0
"""Seconds that a login at one address may take."""

_REFUSED = (foreign.SaslAuthenticationFailed, foreign.AuthenticationFailedError)


async def accepts(kafka: KafkaSettings, user: str, password: str) -> bool:
    """Return whether the engine lets a user in with this password.

    Args:
        kafka: how to reach the engine, and by which mechanism users log in.
        user, password: whose login is tried.

    Raises:
        BusUnavailable: no address answers, so nobody knows.
        InvalidSettings: the files for TLS cannot be used.
    """
    context = tls(kafka) if kafka.security_protocol.endswith("SSL") else None
    trouble: Exception | None = None
    for text in kafka.bootstrap.split(","):
        address = Address.parse(text)
        try:
            async with asyncio.timeout(SECONDS):
                connection = await create_conn(
                    address.host,
                    address.port,
                    client_id="stadtbus-login",
                    request_timeout_ms=int(SECONDS * 1000),
                    ssl_context=context,
                    security_protocol=kafka.security_protocol,
                    sasl_mechanism=kafka.sasl_mechanism,
                    sasl_plain_username=user,
                    sasl_plain_password=password,
                )
        except _REFUSED:
            return False
        except (foreign.KafkaError, OSError, TimeoutError) as error:
            trouble = error
        else:
            connection.close(reason=CloseReason.SHUTDOWN)
            return True
    raise _unknown(kafka, trouble) from trouble


def _unknown(kafka: KafkaSettings, trouble: Exception | None) -> BusError:
    return BusUnavailable(
        f"passwords cannot be checked, as no broker answers: {trouble}",
        where=kafka.bootstrap,
        remedy="see whether the broker runs; the same may succeed later",
    )
