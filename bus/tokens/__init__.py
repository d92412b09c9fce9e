"""Bearer tokens (RFC 6750) for the registry and the page: who a request with one is from.

They lie on a compacted topic of the engine, as hashes: so every registry and page of a bus knows
the same, a token that is revoked is forgotten there, and nothing of it is in the journal.
"""

from bus.tokens.book import Book, TokenRefused
from bus.tokens.follower import Follower
from bus.tokens.token import Token, made

__all__ = ["Book", "Follower", "Token", "TokenRefused", "made"]
