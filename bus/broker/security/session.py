"""The login of one connection, as a state machine: what is taken in which order, and for how long.

As SaslServerAuthenticator and KafkaChannel of Apache Kafka do it: before the login its own
requests are taken and ApiVersions once, in this order; where a login lasts only so long (KIP-368),
the client logs in again on the open connection, as the same user and by the same mechanism.
"""

from collections.abc import Callable, Sequence
from enum import Enum, auto

from kio.schema.errors import ErrorCode

from bus.broker.keys import ApiKey
from bus.broker.security.credentials import BadLogin
from bus.broker.security.scram import Challenge
from bus.principals import ANONYMOUS

MOST_LOGIN_BYTES = 2**14  # of a request before the login, which needs no more than a few hundred
RENEW_AFTER = 1.0  # seconds between two logins on a connection, at the least


class NotNow(Exception):
    """A request that the state of the login does not let in; its connection has to be closed."""


class Stage(Enum):
    """How far the login has come."""

    FRESH = auto()
    GREETED = auto()
    PROVING = auto()
    OPEN = auto()
    RENEWING = auto()
    ENDED = auto()


_TAKEN = {
    Stage.FRESH: {ApiKey.API_VERSIONS, ApiKey.SASL_HANDSHAKE},
    Stage.GREETED: {ApiKey.SASL_HANDSHAKE},
    Stage.PROVING: {ApiKey.SASL_AUTHENTICATE},
    Stage.RENEWING: {ApiKey.SASL_AUTHENTICATE},
    Stage.ENDED: set[ApiKey](),
}


class Session:
    """One connection's login.

    Args:
        offered: the mechanisms that one may log in by.
        lifetime: seconds that a login lasts; 0 is for ever.
        clock: seconds that only go forward.
        principal: who is there without a login; None if nobody is.

    Attributes:
        principal: who is there; nobody in particular before the login.
        mechanism: what the client has chosen to log in by.
        bare: whether frames are tokens of the mechanism without a header (SaslHandshake 0).
        challenge: what a SCRAM client was answered first, while it logs in.
    """

    def __init__(
        self,
        offered: Sequence[str],
        *,
        lifetime: float,
        clock: Callable[[], float],
        principal: str | None = None,
    ) -> None:
        self.principal = principal or ANONYMOUS
        self.mechanism = ""
        self.bare = False
        self.challenge: Challenge | None = None
        self._offered, self._lifetime, self._clock = offered, lifetime, clock
        self._stage = Stage.FRESH if principal is None else Stage.OPEN
        self._by_login = False
        self._expires: float | None = None
        self._renewed = 0.0
        self._refusal = ""

    @property
    def open(self) -> bool:
        """Whether one has logged in, and does not do so again just now."""
        return self._stage is Stage.OPEN

    @property
    def ended(self) -> bool:
        """Whether the login was refused, so that the connection is to be closed."""
        return self._stage is Stage.ENDED

    def admit(self, key: ApiKey) -> None:
        """Let a request in.

        Raises:
            NotNow: the login has not come so far, or it has expired.
        """
        if self._stage is Stage.OPEN:
            if (
                self._expires is not None
                and key is not ApiKey.SASL_HANDSHAKE
                and self._clock() >= self._expires
            ):
                raise NotNow("the login has expired")
            return
        if key not in _TAKEN[self._stage]:
            raise NotNow(f"{key.name} before the login")
        if key is ApiKey.API_VERSIONS:
            self._stage = Stage.GREETED

    def choose(self, mechanism: str, *, headers: bool) -> ErrorCode:
        """Begin to log in by a mechanism, for the first time or again.

        Args:
            mechanism: its name.
            headers: whether its messages come as requests.
        """
        again = self._stage is Stage.OPEN and self._by_login
        if again:
            if self._expires is None or self._clock() - self._renewed < RENEW_AFTER:
                return ErrorCode.illegal_sasl_state
        elif self._stage is Stage.OPEN and not self._offered:
            return ErrorCode.illegal_sasl_state
        if mechanism not in self._offered:
            self._stage = Stage.ENDED
            return ErrorCode.unsupported_sasl_mechanism
        self._stage = Stage.RENEWING if again else Stage.PROVING
        self.challenge, self.bare = None, not headers
        if not again:
            self.mechanism = mechanism
        elif mechanism != self.mechanism:
            self._refusal = (
                f"SASL mechanism '{mechanism}' requested by client is not supported for "
                f"re-authentication of mechanism '{self.mechanism}'"
            )
        return ErrorCode.none

    @property
    def proving(self) -> bool:
        """Whether a message of the mechanism is awaited."""
        return self._stage in {Stage.PROVING, Stage.RENEWING}

    @property
    def attempt(self) -> str:
        """What the client is doing, in Kafka's words."""
        return "re-authentication" if self._stage is Stage.RENEWING else "authentication"

    def check(self) -> None:
        """Look whether the mechanism may be used.

        Raises:
            BadLogin: one that logs in again came with another mechanism.
        """
        if self._refusal:
            raise BadLogin("another mechanism than before", told=self._refusal)

    def complete(self, user: str) -> int:
        """Note who has logged in; return for how many milliseconds, 0 if for ever.

        Raises:
            BadLogin: somebody else was logged in on this connection.
        """
        principal = f"User:{user}"
        if self._stage is Stage.RENEWING and principal != self.principal:
            told = (
                f"Cannot change principals during re-authentication from {self.principal} "
                f"to {principal}"
            )
            raise BadLogin("another user than before", told=told)
        now = self._clock()
        self.principal, self._by_login = principal, True
        self._stage, self.challenge, self.bare = Stage.OPEN, None, False
        self._renewed = now
        if self._lifetime:
            self._expires = now + self._lifetime
        return round(self._lifetime * 1000)

    def end(self) -> None:
        """Note that the login was refused."""
        self._stage, self.challenge = Stage.ENDED, None
