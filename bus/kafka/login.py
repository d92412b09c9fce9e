"""What only a connection by hand tells: whether a login is accepted, and rules may be seen."""

import asyncio
from typing import Any

from aiokafka import errors as foreign
from aiokafka.conn import CloseReason, create_conn
from aiokafka.protocol.admin import DescribeAclsRequest

from bus.errors import BusError, BusUnavailable, InvalidSettings, NotAuthorised
from bus.kafka.connection import unreachable
from bus.probe import probe, tls
from bus.settings import Address, KafkaSettings

SECONDS = 10.0
"""Seconds that a login at one address, or an answer, may take."""

_REFUSED = (foreign.SaslAuthenticationFailed, foreign.AuthenticationFailedError)
_NO_RIGHT, _NO_SECURITY = 31, 54  # CLUSTER_AUTHORIZATION_FAILED, SECURITY_DISABLED
_TOPIC, _LITERAL, _ANY = 2, 3, 1


async def accepts(kafka: KafkaSettings, user: str, password: str) -> bool:
    """Return whether the engine lets a user in with this password.

    Args:
        kafka: how to reach the engine, and by which mechanism users log in.
        user, password: whose login is tried.

    Raises:
        BusUnavailable: no address answers, so nobody knows.
        InvalidSettings: the files for TLS cannot be used.
    """
    try:
        connection = await _connected(kafka, user, password)
    except _REFUSED:
        return False
    connection.close(reason=CloseReason.SHUTDOWN)
    return True


async def require_rules(kafka: KafkaSettings) -> None:
    """Return if the engine has rules and lets us see them.

    librdkafka shows who may not see them an empty list, and ends the process of who asks for users.

    Raises:
        InvalidSettings: the engine does not ask who is there, so rules would have no effect.
        NotAuthorised: this needs Describe on the cluster.
        BusUnavailable, NotAuthenticated: the engine cannot be reached, or does not let us in.
    """
    await probe(kafka)
    login = kafka.login() if kafka.security_protocol.startswith("SASL") else (None, None)
    try:
        connection = await _connected(kafka, *login)
    except _REFUSED as error:
        raise unreachable(kafka, error) from error
    try:
        nothing = DescribeAclsRequest(_TOPIC, "", _LITERAL, "User:", "*", _ANY, _ANY)
        async with asyncio.timeout(SECONDS):
            answer = await connection.send(nothing)
    except (foreign.KafkaError, OSError, TimeoutError) as error:
        raise _unanswered(kafka, error) from error
    finally:
        connection.close(reason=CloseReason.SHUTDOWN)
    if answer.error_code == _NO_RIGHT:
        right = "Describe on the cluster"
        raise NotAuthorised.lacking(right, user=kafka.username, where=kafka.bootstrap)
    if answer.error_code == _NO_SECURITY:
        raise InvalidSettings(
            "the engine asks nobody who they are, so it has no rules",
            where=kafka.bootstrap,
            remedy="secure it first: docs/security.md",
        )


async def _connected(kafka: KafkaSettings, user: str | None, password: str | None) -> Any:
    """Return a connection to one of the addresses, logged in."""
    context = tls(kafka) if kafka.security_protocol.endswith("SSL") else None
    trouble: Exception | None = None
    for text in kafka.bootstrap.split(","):
        address = Address.parse(text)
        try:
            async with asyncio.timeout(SECONDS):
                return await create_conn(
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
            raise
        except (foreign.KafkaError, OSError, TimeoutError) as error:
            trouble = error
    raise _unanswered(kafka, trouble) from trouble


def _unanswered(kafka: KafkaSettings, trouble: Exception | None) -> BusError:
    return BusUnavailable(
        f"no broker answers: {trouble or 'no answer came in time'}",
        where=kafka.bootstrap,
        remedy="see whether the broker runs; the same may succeed later",
    )
