"""How much of the broker's memory members of groups may hold. Pure.

A member may be silent for half an hour, and what it said is kept for that long even if its
connection has gone. So one user's members may hold no more than a part of what there is for all.
"""

from collections import Counter
from collections.abc import Iterator

MOST_SAID = 2**20  # bytes of one request; Kafka keeps a whole group in one record of this size
ALL = 2**27  # bytes, by default
SHARES = 4
_EVERY = 1.0  # seconds between two times that all is weighed

Held = Iterator[tuple[str, int]]  # users, and bytes that one of their members or groups holds


class Room:
    """Counts what users' members hold.

    What comes is added at once. What goes is noticed when the limit is reached: all is weighed
    then, though not again and again.

    Args:
        size: bytes for all.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: Counter[str] = Counter()
        self._weighed = float("-inf")

    def take(self, user: str, size: int, held: Held, now: float) -> bool:
        """Take room for what a user's member says.

        Args:
            user: whose member it is.
            size: bytes.
            held: all that is held now, if somebody looks.
            now: seconds of a clock that only goes forward.

        Returns:
            whether there is so much.
        """
        if size > MOST_SAID:
            return False
        if not self._fits(user, size) and now - self._weighed >= _EVERY:
            self._weighed = now
            self._held.clear()
            for of, held_bytes in held:
                self._held[of] += held_bytes
        if not self._fits(user, size):
            return False
        self._held[user] += size
        return True

    def _fits(self, user: str, size: int) -> bool:
        mine = self._held[user] + size <= self._size // SHARES
        return mine and self._held.total() + size <= self._size
