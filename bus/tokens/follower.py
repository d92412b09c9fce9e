"""Who a request with a token is from, for those who are asked: follows the tokens' topic."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from bus.errors import BusError, BusUnavailable, NotAuthorised
from bus.kafka import LogReader, require_rules
from bus.security.throttle import Throttle
from bus.settings import KafkaSettings
from bus.startable import Startable
from bus.tokens.book import Book, TokenRefused
from bus.tokens.token import Token, id_in
from bus.tokens.topic import CLIENT_ID, TokenLog

log = logging.getLogger(__name__)

LOOKING = 1.0
"""Seconds between two looks at the topic."""

GAP = 3600.0
"""Seconds without a look after which all is read anew: word that a token was revoked is deleted
from the topic after a day."""

FRESH = 4.0
"""Seconds after which what was read counts no more: a token that was revoked is refused within
five, also where the engine cannot be reached."""


class TooOften(TokenRefused):
    """So much was wrong from there that nobody looks.

    Args:
        seconds: when to come back.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = max(seconds, 1.0)
        super().__init__(f"too many wrong tokens: try again in {self.seconds:.0f} seconds")


class Follower(Startable):
    """Follows the tokens of an engine.

    Args:
        kafka: how to reach it, as somebody who may read them.
        clock: seconds that only go forward.
    """

    def __init__(
        self, kafka: KafkaSettings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kafka, self._clock = kafka, clock
        self._throttle = Throttle(clock)
        self._book, self._read = Book(), float("-inf")
        self._trouble = ""
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; tokens let in once they are read."""
        self._task = asyncio.create_task(self._keep(), name="tokens")

    async def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    @property
    def latest(self) -> Book | None:
        """The tokens that there are now; None if nobody knows."""
        return None if self._clock() - self._read > FRESH else self._book

    def book(self) -> Book:
        """Return the tokens that there are now.

        Raises:
            BusUnavailable: nobody knows, as the engine was not reached for some seconds.
        """
        book = self.latest
        if book is None:
            raise BusUnavailable(
                "nobody knows which tokens count now",
                where=self._kafka.bootstrap,
                remedy=self._trouble or "try again",
            )
        return book

    def admit(self, text: str, host: str) -> Token:
        """Return the token that a request says to have.

        A right one is never kept waiting: nobody guesses one, and others must not keep it out.

        Args:
            text: what the request says.
            host: from where it came.

        Raises:
            TokenRefused: it lets nobody in; `TooOften` where that happened again and again.
            NotAuthorised: its user is locked out.
            BusUnavailable: nobody knows.
        """
        book = self.book()
        try:
            return book.judge(text, int(time.time() * 1000))
        except TokenRefused as refused:
            known = id_in(text)
            wait = self._throttle.attempt(host, known if known in book.tokens else host)
            if wait > 0:
                raise TooOften(wait) from refused
            raise

    def counts(self, text: str) -> bool:
        """Whether a token that has let somebody in does so still."""
        try:
            self.book().judge(text, int(time.time() * 1000))
        except BusError:
            return False
        return True

    async def _keep(self) -> None:
        while True:
            try:
                await _require_denying(self._kafka)
                async with LogReader(self._kafka, client_id=CLIENT_ID) as reader:
                    await self._follow(TokenLog(reader))
            except BusError as error:
                if str(error) != self._trouble:
                    log.warning("tokens cannot be read: %s", error)
                self._trouble = str(error)
            await asyncio.sleep(LOOKING)

    async def _follow(self, tokens: TokenLog) -> None:
        began = self._clock()
        while True:
            self._book = await tokens.follow()
            self._read, self._trouble = began, ""
            await asyncio.sleep(LOOKING)
            last, began = began, self._clock()
            if began - last > GAP:
                return


async def _require_denying(kafka: KafkaSettings) -> None:
    """Return if the engine has rules: without them anybody could write a token of their own.

    Raises:
        InvalidSettings: it has none.
        BusUnavailable, NotAuthenticated: it cannot be reached, or does not let us in.
    """
    with suppress(NotAuthorised):  # who may not see them knows that there are some
        await require_rules(kafka)
