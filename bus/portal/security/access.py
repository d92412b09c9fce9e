"""Who may see the portal: logs people in and out, and knows who they are at each request."""

import asyncio
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from bus.audit import Notes, log, quoted
from bus.errors import BusError, InvalidSettings, NotAuthenticated, NotAuthorised
from bus.portal.security import browsers
from bus.portal.security.database import Database
from bus.portal.security.passwords import Passwords
from bus.portal.security.sessions import Person, Sessions
from bus.portal.security.users import LONGEST, User, Users
from bus.portal.viewer import Role, Viewer
from bus.security.throttle import Throttle
from bus.settings import Settings
from bus.telemetry import Telemetry
from bus.tokens import Follower, TokenRefused

if TYPE_CHECKING:
    from bus.portal.security.provider import Begun, Provider

HASHING_AT_ONCE, HASHING_WAITS = 1, 8
"""Passwords that are hashed at a time, in 64 MiB and a quarter of a second of a processor each, so
that the broker has another; and logins that wait for their turn beside, which takes less than:"""

FAILED_SECONDS = 2.5
"""After so long a failure is answered, so that nobody can tell by the time whether there is such a
user. No password is hashed for one whom there is not: else anybody could have all turns taken."""

ASKED_SECONDS = 600.0
"""How long somebody may take at the provider."""

_Done = TypeVar("_Done")


class TryLater(NotAuthenticated):
    """Nobody looked at what was said: it was too often, or there are too many.

    Args:
        seconds: when to come back.
    """

    retriable = True

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"try again in {seconds:.0f} seconds")


class Access:
    """Who may see the portal.

    Args:
        settings: where the data lies, how long sessions last, and the provider if there is one.
        notes: where refused logins are told.
        telemetry: where logins are counted.
        passwords: how passwords are hashed.

    Raises:
        InvalidSettings: the provider's settings cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        notes: Notes,
        telemetry: Telemetry,
        passwords: Callable[[], Passwords] = Passwords,
    ) -> None:
        self._settings, self._make_passwords = settings, passwords
        self._notes, self._counted = notes, telemetry.logins
        self.origin = origin = settings.portal.url
        """How browsers address the portal; None: as they say."""
        self._throttle = Throttle(time.monotonic)
        kafka = settings.kafka
        # Where the engine asks nobody who they are, anybody could write a token of their own.
        self._tokens = Follower(kafka) if kafka.security_protocol != "PLAINTEXT" else None
        self._own = secrets.token_bytes(32)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="stadtbus-logins")
        self._hashing = ThreadPoolExecutor(HASHING_AT_ONCE, thread_name_prefix="stadtbus-passwords")
        self._logins = 0
        self._ending = asyncio.Event()
        oidc = settings.portal.oidc
        if oidc.issuer and origin is None:
            raise InvalidSettings(
                "the provider of identities has to be told where browsers come back to",
                where="portal.url",
                remedy="set it to the portal's address, such as https://bus.town.example:8080",
            )
        self.provider = self._provider(origin) if oidc.issuer and origin else None

    async def start(self) -> None:
        """Open the database.

        Raises:
            StorageUnusable: it cannot be opened.
        """
        portal = self._settings.portal
        self._database = await self._at_the_database(lambda: Database(self._settings.data))
        self._users = Users(self._database)
        self._sessions = Sessions(
            self._database, idle=portal.session_idle_seconds, longest=portal.session_seconds
        )
        loop = asyncio.get_running_loop()
        self._passwords = await loop.run_in_executor(self._hashing, self._make_passwords)
        if self._tokens is not None:
            await self._tokens.start()

    def hurry(self) -> None:
        """Let nobody wait for the answer to a failure any more: the portal ends."""
        self._ending.set()

    async def stop(self) -> None:
        """Close it, once those who are about to log in have."""
        if self._tokens is not None:
            await self._tokens.stop()
        self._hashing.shutdown()
        with suppress(AttributeError):  # it never started
            await self._at_the_database(self._database.close)
        self._thread.shutdown()

    async def who(self, session: str, *, used: bool) -> Person | None:
        """Return whose session it is; None: nobody's, or it has ended.

        What a provider said of somebody counts as long as the settings name that provider.
        """
        person = await self._at_the_database(
            lambda: self._sessions.find(session, time.time(), used=used)
        )
        known = self.provider.issuer if self.provider else ""
        return person if person and person.issuer in {"", known} else None

    def by_token(self, text: str, host: str) -> Viewer:
        """Return whose bearer token it is, and what they may do.

        Raises:
            TokenRefused: it lets nobody in.
            NotAuthorised: it is not for the page, or its user is locked out.
            BusUnavailable: nobody knows.
        """
        try:
            if self._tokens is None:
                raise TokenRefused("there are no tokens here, as the engine asks for no login")
            token = self._tokens.admit(text, host)
            if not token.role:
                raise NotAuthorised(
                    "this token is for the registry alone",
                    remedy="make one for the page: `stadtbus token new --role viewer`",
                )
        except (TokenRefused, NotAuthorised) as error:
            self._refused("", host, "token", error.what)
            raise
        return Viewer(name=token.user, role=Role[token.role.upper()])

    def token_counts(self, text: str) -> bool:
        """Whether a token that has let somebody in does so still."""
        return self._tokens is not None and self._tokens.counts(text)

    async def log_in(
        self, name: str, password: str, host: str, before: str | None, mark: str = ""
    ) -> tuple[str, str]:
        """Return the secret of a new session, and what the browser keeps of its user.

        Args:
            name, password: what somebody says.
            host: from where.
            before: the session of the same browser, which ends.
            mark: what the browser keeps of a user who has logged in there before.

        Raises:
            TryLater: it was said too often, or there are too many just now.
            NotAuthenticated: name or password is wrong; nobody is told which.
        """
        user = await self._identified(name, password, host, mark)
        person = Person(issuer="", subject=user.name, name=user.name, role=user.role)
        session = await self._begun(person, host, "password", before)
        # A hash that was made anew signs another.
        now = await self._at_the_database(lambda: self._users.find(name))
        return session, browsers.mark(now or user)

    async def identify(self, name: str, password: str, host: str) -> Person:
        """Return who a program asks for, which says name and password with each request.

        Args:
            name, password: what it says.
            host: from where.

        Raises:
            TryLater, NotAuthenticated: as `log_in`.
        """
        user = await self._identified(name, password, host, "")
        officers = await self._at_the_database(self._users.officers)
        return Person(
            issuer="",
            subject=user.name,
            name=user.name,
            role=user.role,
            officer_of=officers.get(user.name, ""),
        )

    async def _identified(self, name: str, password: str, host: str, mark: str) -> User:
        """Return the user whose password it is, once it is their turn."""
        begun = time.monotonic()
        user = await self._at_the_database(lambda: self._users.find(name))
        browser = browsers.known(mark, user) if user else ""
        # First, so that an attempt that nobody looks at does not count as a failure.
        if self._logins >= HASHING_AT_ONCE + HASHING_WAITS and not browser:
            self._refused("", host, "password", "too many logins at a time")
            raise TryLater(5.0)
        wait = self._throttle.attempt(host, name, browser)
        if wait > 0:
            self._refused(name, host, "password", "too many attempts")
            raise TryLater(max(wait, 1.0))
        if user is None or not await self._is_right(user, password):
            self._refused(name, host, "password", "wrong name or password")
            await self._until(begun + FAILED_SECONDS)
            raise NotAuthenticated("wrong name or password")
        self._throttle.succeeded(host, name, browser)
        return user

    async def ask_provider(self, then: str) -> tuple[str, str]:
        """Return where to send the browser to log in, and what it shall keep until it is back.

        Args:
            then: the page that somebody wanted to see.

        Raises:
            BusUnavailable: the provider cannot be used.
            NotAuthenticated: there is none.
        """
        if self.provider is None:
            raise NotAuthenticated("there is no provider of identities")
        url, begun = await self.provider.begin()
        kept = json.dumps([*begun, then, int(time.time())])
        return url, f"{kept.encode().hex()}.{self._signed(kept)}"

    async def from_provider(
        self, answer: Mapping[str, str], kept: str, host: str, before: str | None
    ) -> tuple[str, str]:
        """Return the secret of a new session, and the page that somebody wanted to see.

        Args:
            answer: the parameters with which the provider sent the browser back.
            kept: what the browser kept meanwhile.
            host: from where.
            before: the session of the same browser, which ends.

        Raises:
            NotAuthenticated, NotAuthorised, BusUnavailable: as `Provider.finish` does.
        """
        try:
            begun, then = self._read(kept)
            if self.provider is None:
                raise NotAuthenticated("there is no provider of identities")
            person = await self.provider.finish(answer, begun)
        except NotAuthorised as error:
            self._refused(error.what, host, "oidc", "no group of theirs has a role here")
            raise
        except BusError as error:
            self._refused("", host, "oidc", error.what)
            raise
        return await self._begun(person, host, "oidc", before), then

    async def log_out(self, person: Person, host: str) -> str | None:
        """End all sessions of somebody; return where they log out of the provider, too."""
        ended = await self._at_the_database(lambda: self._sessions.end(person))
        log.info(
            "logout user=%s host=%s at=portal sessions=%s",
            quoted(person.name),
            quoted(host),
            ended,
        )
        if self.provider is None or person.issuer != self.provider.issuer:
            return None
        return self.provider.farewell(person.id_token)

    async def _begun(self, person: Person, host: str, mechanism: str, before: str | None) -> str:
        begun = await self._at_the_database(
            lambda: self._sessions.begin(person, time.time(), instead_of=before)
        )
        log.info(
            "login user=%s host=%s at=portal mechanism=%s role=%s",
            quoted(person.name),
            quoted(host),
            mechanism,
            person.role.name.lower(),
        )
        self._counted.labels(mechanism, "ok").inc()
        return begun

    def _provider(self, origin: str) -> "Provider":
        from bus.portal.security.provider import Provider  # a tenth of a second

        oidc = self._settings.portal.oidc
        return Provider(oidc, f"{origin}/login/back", f"{origin}/login")

    async def _is_right(self, user: User, password: str) -> bool:
        """Whether a password is a user's, once it is its turn to be hashed."""
        loop = asyncio.get_running_loop()
        self._logins += 1
        try:
            return await loop.run_in_executor(self._hashing, self._hashed, user, password)
        finally:
            self._logins -= 1

    def _hashed(self, user: User, password: str) -> bool:
        """Whether a password is a user's; called in the thread for hashing."""
        said = password[: LONGEST + 1]
        right = self._passwords.matches(said, user.hash)
        if right and self._passwords.outdated(user.hash):
            self._users.rehash(user, self._passwords.hash(said))
        return right

    async def _until(self, end: float) -> None:
        """Wait until a time, as `time.monotonic` tells it, or until the portal ends."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), end - time.monotonic())

    def _refused(self, name: str, host: str, mechanism: str, reason: str) -> None:
        line = (
            f"login refused user={quoted(name)} host={quoted(host)} at=portal "
            f"mechanism={mechanism} reason={quoted(reason)}"
        )
        self._notes.tell("login", host, (name, host, reason), line)
        self._counted.labels(mechanism, "refused").inc()

    def _read(self, kept: str) -> "tuple[Begun, str]":
        from bus.portal.security.provider import Begun

        body, _, signature = kept.partition(".")
        try:
            text = bytes.fromhex(body).decode()
            if not hmac.compare_digest(signature.encode(), self._signed(text).encode()):
                raise ValueError
            state, nonce, verifier, then, at = json.loads(text)
        except ValueError as error:
            raise NotAuthenticated("it belongs to no login of this browser") from error
        if time.time() - at > ASKED_SECONDS:
            raise NotAuthenticated("it took too long")
        return Begun(state, nonce, verifier), then

    def _signed(self, text: str) -> str:
        return hmac.digest(self._own, text.encode(), "sha256").hex()

    async def _at_the_database(self, do: Callable[[], _Done]) -> _Done:
        """Do something in the one thread that waits for the disk."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, do)
