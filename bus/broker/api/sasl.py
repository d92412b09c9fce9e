"""SaslHandshake, SaslAuthenticate: how one logs in, and again on an open connection (KIP-368)."""

import asyncio
from dataclasses import dataclass

from kio.schema.errors import ErrorCode

from bus.broker.engine import Engine
from bus.broker.security import plain, scram
from bus.broker.security.credentials import BadLogin, Mechanism
from bus.broker.security.session import Session
from bus.broker.wire import Fields, Request

REFUSED_AFTER = 0.1  # seconds, Kafka's connection.failed.authentication.delay.ms
PLAIN = "PLAIN"

_SCRAM = {mechanism.text: mechanism for mechanism in Mechanism}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a message of a mechanism is answered."""

    error: ErrorCode
    token: bytes = b""
    reason: str | None = None
    lifetime: int = 0  # milliseconds


async def sasl_handshake(engine: Engine, request: Request) -> Fields:
    """Agree on a mechanism."""
    session, offered = request.session, engine.security.mechanisms
    error = ErrorCode.illegal_sasl_state
    if session is not None:
        error = session.choose(request.body.mechanism, headers=request.version > 0)
        if session.ended:
            engine.security.audit.not_offered(request.client_host, request.body.mechanism)
            await asyncio.sleep(REFUSED_AFTER)
    told = () if error is ErrorCode.illegal_sasl_state else offered
    return {"error_code": error, "mechanisms": told}


async def sasl_authenticate(engine: Engine, request: Request) -> Fields:
    """Take a message of the mechanism, and answer it."""
    session = request.session
    if session is None or not session.proving:
        outcome = Outcome(
            ErrorCode.illegal_sasl_state,
            reason="SaslAuthenticate request received after successful authentication",
        )
    else:
        outcome = await converse(engine, session, request.body.auth_bytes, request.client_host)
    return {
        "error_code": outcome.error,
        "error_message": outcome.reason,
        "auth_bytes": outcome.token,
        "session_lifetime": outcome.lifetime,
    }


async def converse(engine: Engine, session: Session, message: bytes, host: str) -> Outcome:
    """Go on with a login by a message of its mechanism.

    One that is refused is told so a little later; nobody else has to wait for that.
    """
    audit, mechanism = engine.security.audit, session.mechanism
    attempt, claimed = session.attempt, _Claimed()
    try:
        session.check()
        if mechanism == PLAIN:
            token, user = await _plain(engine, message, claimed)
        else:
            token, user = _scram(engine, session, message, claimed)
        if not user:
            return Outcome(ErrorCode.none, token)
        lifetime = session.complete(user)
    except BadLogin as refusal:
        session.end()
        audit.refused(claimed.user, host, mechanism, str(refusal))
        told = refusal.told or (
            f"Authentication failed during {attempt} due to invalid credentials "
            f"with SASL mechanism {mechanism}"
        )
        await asyncio.sleep(REFUSED_AFTER)
        return Outcome(ErrorCode.sasl_authentication_failed, reason=told)
    audit.admitted(mechanism)
    return Outcome(ErrorCode.none, token, lifetime=lifetime)


@dataclass(slots=True)
class _Claimed:
    """Who somebody says that they are, known as soon as they have said so."""

    user: str = ""


async def _plain(engine: Engine, message: bytes, claimed: _Claimed) -> tuple[bytes, str]:
    claim = plain.read(message)
    claimed.user = claim.user
    if not await engine.security.proves(claim.user, claim.password):
        reason = "wrong password or no such user"
        raise BadLogin(reason, told="Authentication failed: Invalid username or password")
    return b"", claim.user


def _scram(
    engine: Engine, session: Session, message: bytes, claimed: _Claimed
) -> tuple[bytes, str]:
    if session.challenge is None:
        first = scram.read_first(message)
        claimed.user = first.user
        credential = engine.security.users.claimed(first.user, _SCRAM[session.mechanism])
        session.challenge = scram.challenge(first, credential)
        return session.challenge.message, ""
    claimed.user = session.challenge.first.user
    return scram.conclude(session.challenge, message), claimed.user
