"""Which tokens there are, and whose a request is: a fold over the tokens' topic. Pure."""

import logging
from datetime import UTC, datetime

from bus.errors import InvalidInput, NotAuthenticated, NotAuthorised
from bus.tokens.token import Token, id_in, read_token

log = logging.getLogger(__name__)

LOCK = "lock:"
"""What keys begin with that say who is locked out: so those know it who do not read the journal."""


class TokenRefused(NotAuthenticated):
    """A token that does not let anybody in.

    Args:
        what: why, for who sent it.
        token: the name of the token, if there is such a one.
    """

    def __init__(self, what: str, token: str = "") -> None:
        super().__init__(what, remedy="`stadtbus token new` makes another one")
        self.token = token


class Book:
    """The tokens that were not revoked, and whose do not count for now.

    Attributes:
        tokens: by their ids.
        locked: the users that are locked out.
    """

    def __init__(self) -> None:
        self.tokens: dict[str, Token] = {}
        self.locked: set[str] = set()

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """Take in a record; one that cannot be read lets nobody in."""
        name = (key or b"").decode(errors="replace")
        if name.startswith(LOCK):
            user = name.removeprefix(LOCK)
            (self.locked.discard if value is None else self.locked.add)(user)
            return
        self.tokens.pop(name, None)
        if value is None:
            return
        try:
            self.tokens[name] = read_token(name, value)
        except InvalidInput as error:
            log.warning("a token lets nobody in: %s", error)

    def of(self, user: str) -> list[Token]:
        """Return a user's tokens, oldest first."""
        return sorted(
            (one for one in self.tokens.values() if one.user == user), key=lambda one: one.issued
        )

    @property
    def users(self) -> set[str]:
        """Who has tokens."""
        return {one.user for one in self.tokens.values()}

    def judge(self, text: str, now: int) -> Token:
        """Return the token that a text is.

        Args:
            text: what a request says.
            now: milliseconds since 1970.

        Raises:
            TokenRefused: there is no such token, or it has ended.
            NotAuthorised: its user is locked out.
        """
        name = id_in(text)
        if name is None:
            raise TokenRefused("what follows Bearer is no token of this bus")
        token = self.tokens.get(name)
        if token is None or not token.is_of(text):
            raise TokenRefused("there is no such token here, or it was revoked")
        if now >= token.until:
            day = datetime.fromtimestamp(token.until / 1000, UTC).date().isoformat()
            raise TokenRefused(f"the token {token.id} ended on {day}", token.id)
        if token.user in self.locked:
            raise NotAuthorised(
                f"{token.user} is locked out: it is retired, or its member suspended or gone"
            )
        return token
