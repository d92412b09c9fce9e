"""Who may read and write at the registry: owners of certificates, and users of the engine.

Users log in by HTTP Basic (RFC 7617), or with a bearer token (RFC 6750).
"""

import asyncio
import base64
import binascii
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping

from starlette.types import Scope

from bus.audit import Notes, quoted
from bus.errors import NotAuthorised
from bus.http import PRINCIPAL
from bus.registry import refusals
from bus.telemetry import Telemetry
from bus.tokens import Follower, TokenRefused
from bus.tokens.follower import TooOften

KNOWN_SECONDS = 60.0
"""Seconds that an accepted password counts without asking the engine again."""

REFUSED_SECONDS = 5.0
"""Seconds that a refused password is refused without asking the engine again."""

MOST_KEPT = 1000
LONGEST = 200  # characters of a name in an answer
AT_ONCE = 4
"""Logins at the engine under way: hashing passwords takes its processor."""

READING = frozenset({"GET", "HEAD", "OPTIONS"})

Accepts = Callable[[str, str], Awaitable[bool]]


class Doorman:
    """Lets users in by the password that the engine knows them by.

    Args:
        accepts: asks the engine whether a user has a password; None if certificates alone count.
        writers: principals (``User:name``) that may write.
        telemetry: where it is counted how often somebody was denied something.
        notes: where it is told who did not get in, and who may not do what.
        clock: seconds that only go forward.
        locked_out: whether a principal is locked out, whatever password it has; an accepted one
            is remembered for a while.
        tokens: knows bearer tokens; None where nobody has any.
    """

    def __init__(
        self,
        accepts: Accepts | None,
        writers: Collection[str],
        telemetry: Telemetry,
        *,
        notes: Notes | None = None,
        clock: Callable[[], float] = time.monotonic,
        locked_out: Callable[[str], bool] = lambda _: False,
        tokens: Follower | None = None,
    ) -> None:
        self._locked_out, self._tokens = locked_out, tokens
        self._accepts, self._writers, self._clock = accepts, frozenset(writers), clock
        self._denials = telemetry.denials.labels("registry")
        self._salt = secrets.token_bytes(32)
        self._kept: OrderedDict[bytes, tuple[bool, float]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[bool]] = {}
        self._notes = notes or Notes(clock=clock)
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def admit(self, scope: Scope) -> None:
        """Return if the sender of a request may have it answered.

        Raises:
            Refusal: 401, nobody is known by that name and password; 403, the user may not write,
                or is locked out.
            BusUnavailable: the engine cannot be asked.
        """
        host = (scope.get("client") or ("?",))[0]
        principal = scope.get("state", {}).get(PRINCIPAL) or await self._principal(scope, host)
        if self._locked_out(principal):
            self._note_denied(principal, host, scope)
            raise refusals.locked_out(principal.removeprefix("User:"))
        if _writes(scope["method"], scope["path"]) and principal not in self._writers:
            self._note_denied(principal, host, scope)
            raise refusals.not_entitled(principal.removeprefix("User:"), "write")

    def _note_denied(self, principal: str, host: str, scope: Scope) -> None:
        self._denials.inc()
        what = (principal, host, scope["method"], scope["path"])
        line = (
            f"denied principal={quoted(principal)} host={quoted(host)} at=registry "
            f"operation={scope['method']} name={quoted(scope['path'])}"
        )
        self._notes.tell("denied", principal, what, line)

    async def _principal(self, scope: Scope, host: str) -> str:
        """Return who has logged in with a token or a password."""
        if self._tokens is not None and (text := _bearer(scope)) is not None:
            return self._by_token(text, host, self._tokens)
        try:
            if self._accepts is None:
                raise refusals.not_logged_in("Show a client's certificate to log in here.")
            user, password = _credentials(scope)
        except refusals.Refusal as refusal:
            line = f"not logged in host={quoted(host)} at=registry reason={quoted(refusal.message)}"
            self._notes.tell("stranger", host, (host, refusal.message), line)
            raise
        if not await self._knows(user, password, host, self._accepts):
            raise refusals.not_logged_in(
                f"The engine does not know the user {user[:LONGEST]} by this password."
            )
        return f"User:{user}"

    def _by_token(self, text: str, host: str, tokens: Follower) -> str:
        """Return whose token somebody has."""
        try:
            return f"User:{tokens.admit(text, host).user}"
        except NotAuthorised as error:
            raise refusals.locked_out_token(error.what) from error
        except TokenRefused as error:
            line = f"token refused host={quoted(host)} at=registry reason={quoted(error.what)}"
            self._notes.tell("token", host, (host, error.what), line)
            if isinstance(error, TooOften):
                raise refusals.too_often(error.seconds) from error
            raise refusals.token_refused(error.what) from error

    async def _knows(self, user: str, password: str, host: str, accepts: Accepts) -> bool:
        key = hmac.digest(self._salt, f"{user}\0{password}".encode(), "sha256")
        known, until = self._kept.get(key, (False, 0.0))
        if self._clock() < until:
            return known
        # Whoever asks the same meanwhile waits for the same answer.
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._ask(key, user, password, host, accepts))
            self._asking[key] = task
            task.add_done_callback(lambda done: self._asked(key, done))
        return await asyncio.shield(task)

    def _asked(self, key: bytes, task: asyncio.Task[bool]) -> None:
        del self._asking[key]
        if not task.cancelled():
            task.exception()  # whoever waited has it; if all have gone, nobody needs it

    async def _ask(self, key: bytes, user: str, password: str, host: str, accepts: Accepts) -> bool:
        async with self._turns:
            known = await accepts(user, password)
        if not known:
            line = f"login refused user={quoted(user)} host={quoted(host)} at=registry"
            self._notes.tell("login", host, (user, host), line)
        seconds = KNOWN_SECONDS if known else REFUSED_SECONDS
        self._kept[key] = (known, self._clock() + seconds)
        self._kept.move_to_end(key)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return known


def _bearer(scope: Scope) -> str | None:
    """Return the token that a request bears; None if it says who it is from in another way."""
    headers: Mapping[bytes, bytes] = dict(scope["headers"])
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else None


def _credentials(scope: Scope) -> tuple[str, str]:
    headers: Mapping[bytes, bytes] = dict(scope["headers"])
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"basic":
        raise refusals.not_logged_in(
            "Log in here by HTTP Basic with a user of the engine and its password."
        )
    try:
        text = base64.b64decode(token.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise refusals.not_logged_in("The header Authorization is no HTTP Basic.") from error
    user, colon, password = text.partition(":")
    if not (user and colon and password and user.isprintable() and len(user + password) < 1000):
        raise refusals.not_logged_in("The header Authorization has no user and password.")
    return user, password


def _writes(method: str, path: str) -> bool:
    """Whether a request could change something; looking up and checking use POST, too.

    Statements are anybody's to bring: what decides is who has signed them.
    """
    if method in READING:
        return False
    parts = path.strip("/").split("/")
    looks_up = parts[0] == "compatibility" or (parts[0] == "subjects" and len(parts) == 2)
    brings = parts == ["trust", "statements"]
    return not (method == "POST" and (looks_up or brings))
