"""All that a broker knows of security: who can log in, who may do what, what is noted."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from bus.broker.security.access import Access
from bus.broker.security.audit import Audit
from bus.broker.security.rules import Rules
from bus.broker.security.session import Session
from bus.broker.security.users import Users
from bus.principals import ANONYMOUS, PrincipalMapping, Unmapped, subject
from bus.settings import BrokerSettings


def lacking(settings: BrokerSettings) -> list[str]:
    """Return what is lacking that would keep strangers out."""
    if settings.certificate_file is None:
        return ["no TLS", "no login"]  # one logs in over TLS alone
    if not settings.sasl_mechanisms and settings.client_certificate != "required":
        return ["no login"]
    return []


@dataclass(slots=True)
class Security:
    """The security of a running broker.

    Args:
        settings: the broker's.
        users, rules: as they are stored.
        audit: what is noted.
        clock: seconds that only go forward.
    """

    settings: BrokerSettings
    users: Users
    rules: Rules
    audit: Audit
    clock: Callable[[], float] = time.monotonic
    _mapping: PrincipalMapping = field(init=False)
    _hashing: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._mapping = PrincipalMapping(self.settings.principal_mapping)
        # One thread: who tries many passwords at once takes no more than one processor.
        self._hashing = ThreadPoolExecutor(1, "broker-logins")

    def close(self) -> None:
        """End the thread that checks passwords."""
        self._hashing.shutdown(cancel_futures=True)

    @property
    def enforced(self) -> bool:
        """Whether one has to be somebody, and rules are in force."""
        return self.settings.certificate_file is not None

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What one may log in by; nothing where a certificate is everybody's login."""
        if self.settings.client_certificate == "required":
            return ()
        return self.settings.sasl_mechanisms

    def session(self, certificate: bytes | None, host: str) -> Session:
        """Return the login of a new connection.

        Args:
            certificate: the client's own (DER), verified; None if it showed none.
            host: where the client is.

        Raises:
            Unmapped: the certificate's owner is nobody to the rules.
        """
        principal = None if self.mechanisms else ANONYMOUS
        if certificate is not None:
            name = subject(certificate)
            try:
                principal = self._mapping.principal(name)
            except Unmapped as error:
                self.audit.refused(name, host, "certificate", str(error))
                raise
        return Session(
            self.mechanisms,
            lifetime=self.settings.reauthenticate_seconds,
            clock=self.clock,
            principal=principal,
        )

    def access(self, principal: str, host: str) -> Access:
        """Return what a principal on a host may do."""
        return Access(self.rules, self.audit, principal, host)

    async def proves(self, user: str, password: str) -> bool:
        """Whether this is the user's password; it takes as long for one who is no user."""
        credential = self.users.proving(user)
        loop = asyncio.get_running_loop()
        proved = await loop.run_in_executor(self._hashing, credential.proves, password)
        return proved and bool(self.users.of(user))
