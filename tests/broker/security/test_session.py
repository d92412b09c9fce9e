"""The login of a connection as a state machine: what is taken when, and for how long."""

from collections.abc import Callable

import pytest
from kio.schema.errors import ErrorCode

from bus.broker.keys import ApiKey
from bus.broker.security.credentials import BadLogin
from bus.broker.security.session import NotNow, Session
from bus.principals import ANONYMOUS
from tests.clock import Clock

VERSIONS, HANDSHAKE = ApiKey.API_VERSIONS, ApiKey.SASL_HANDSHAKE
PROOF, FETCH = ApiKey.SASL_AUTHENTICATE, ApiKey.FETCH
SCRAM = "SCRAM-SHA-512"


def session(clock: Clock, lifetime: float = 0, principal: str | None = None) -> Session:
    """Return a session that may log in by two mechanisms."""
    return Session((SCRAM, "PLAIN"), lifetime=lifetime, clock=clock, principal=principal)


def choose(one: Session, mechanism: str = SCRAM) -> ErrorCode:
    """Agree on a mechanism."""
    one.admit(HANDSHAKE)
    return one.choose(mechanism, headers=True)


def logged_in(clock: Clock, lifetime: float = 0) -> Session:
    """Return a session of somebody."""
    one = session(clock, lifetime)
    choose(one)
    one.complete("a")
    return one


def fresh(clock: Clock) -> Session:
    """Return a session at its beginning."""
    return session(clock)


def greeted(clock: Clock) -> Session:
    """Return a session that was told the versions."""
    one = session(clock)
    one.admit(VERSIONS)
    return one


def proving(clock: Clock) -> Session:
    """Return a session that has agreed on a mechanism."""
    one = session(clock)
    choose(one)
    return one


def refused(clock: Clock) -> Session:
    """Return a session whose login was refused."""
    one = proving(clock)
    one.end()
    return one


def renewing(clock: Clock) -> Session:
    """Return a session that logs in again."""
    one = logged_in(clock, 10)
    clock.now += 5
    choose(one)
    return one


@pytest.mark.parametrize(
    ("begin", "taken"),
    [
        (fresh, {VERSIONS, HANDSHAKE}),
        (greeted, {HANDSHAKE}),
        (proving, {PROOF}),
        (refused, set()),
        (logged_in, {VERSIONS, HANDSHAKE, PROOF, FETCH}),
        (renewing, {PROOF}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("key", [VERSIONS, HANDSHAKE, PROOF, FETCH])
def test_what_is_taken(
    clock: Clock, begin: Callable[[Clock], Session], taken: set[ApiKey], key: ApiKey
) -> None:
    """Before the login only its own requests are taken, in their order."""
    one = begin(clock)
    if key in taken:
        one.admit(key)
    else:
        with pytest.raises(NotNow):
            one.admit(key)


def test_a_login(clock: Clock) -> None:
    """Who logs in is somebody from then on, and for ever if nothing else is said."""
    one = session(clock)
    assert one.principal == ANONYMOUS
    assert choose(one) is ErrorCode.none
    assert one.complete("a") == 0
    assert (one.principal, one.open) == ("User:a", True)
    clock.now = 1e9
    one.admit(FETCH)
    assert choose(one) is ErrorCode.illegal_sasl_state


def test_a_mechanism_that_is_not_offered(clock: Clock) -> None:
    """It ends the session."""
    one = session(clock)
    assert choose(one, "GSSAPI") is ErrorCode.unsupported_sasl_mechanism
    assert one.ended


def test_expiry(clock: Clock) -> None:
    """A login that lasts so long is over then, but for logging in again."""
    one = session(clock, 10)
    choose(one)
    assert one.complete("a") == 10_000
    clock.now = 9.9
    one.admit(FETCH)
    clock.now = 10.0
    with pytest.raises(NotNow, match="expired"):
        one.admit(FETCH)
    assert choose(one) is ErrorCode.none
    assert one.complete("a") == 10_000
    clock.now = 19.9
    one.admit(FETCH)


def test_again_at_once(clock: Clock) -> None:
    """One logs in again once a second at the most."""
    one = logged_in(clock, 10)
    clock.now = 0.9
    assert choose(one) is ErrorCode.illegal_sasl_state
    one.admit(FETCH)
    clock.now = 1.0
    assert choose(one) is ErrorCode.none


def test_again_as_somebody_else(clock: Clock) -> None:
    """One stays who one was."""
    with pytest.raises(BadLogin) as told:
        renewing(clock).complete("b")
    assert told.value.told == (
        "Cannot change principals during re-authentication from User:a to User:b"
    )


def test_again_by_another_mechanism(clock: Clock) -> None:
    """One logs in again by the mechanism that one logged in by."""
    one = logged_in(clock, 10)
    clock.now = 5
    assert choose(one, "PLAIN") is ErrorCode.none
    with pytest.raises(BadLogin) as told:
        one.check()
    assert "not supported for re-authentication" in told.value.told


def test_a_certificate(clock: Clock) -> None:
    """Who is somebody by a certificate may do without a login, or log in once."""
    one = session(clock, 10, principal="User:meter")
    clock.now = 100
    one.admit(FETCH)
    assert choose(one) is ErrorCode.none
    one.complete("a")
    assert one.principal == "User:a"


def test_a_certificate_alone(clock: Clock) -> None:
    """Where no mechanism is offered, there is nothing to choose."""
    one = Session((), lifetime=0, clock=clock, principal="User:meter")
    assert choose(one) is ErrorCode.illegal_sasl_state
    one.admit(FETCH)
