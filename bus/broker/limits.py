"""What connections share: memory, quotas, places of requests under way; and how patient each is."""

from weakref import WeakValueDictionary

from bus.broker.budget import Budget
from bus.broker.quota import FETCH, PRODUCE, REQUESTS, Quotas
from bus.settings import BrokerSettings

SLOWEST = 2**18  # bytes a second at which a large request has to come
SMALLEST_ANSWER = 2**16
FIRST_ANSWER = 2**18
"""Bytes of a fetch's answer that a client gets before it has shown how fast it takes them."""

MOST_READS = 2
"""Fetches of one user that read from the disk at a time."""

_SHARES = 8
_PROMPT = 1.0  # seconds


class Lane:
    """Requests that are under way, of one user or of one connection.

    Args:
        requests: how many to write.
        size: how many bytes of them.

    Attributes:
        reads: places of fetches that read from the disk, where all users wait in one line.
        reading: bytes of large requests that are being read, so that those who announce them and
            send nothing hold no more of the memory that all share.
    """

    def __init__(self, requests: int, size: int) -> None:
        self._requests, self._bytes, self.reading = Budget(requests), Budget(size), Budget(size)
        self.reads = Budget(MOST_READS)

    def try_take(self, size: int) -> bool:
        """Take a place and so many bytes if they are there."""
        if not self._requests.try_take(1):
            return False
        if not self._bytes.try_take(size):
            self._requests.give(1)
            return False
        return True

    async def take(self, size: int) -> None:
        """Take a place and so many bytes, and wait for them if need be."""
        await self._requests.take(1)
        try:
            await self._bytes.take(size)
        except BaseException:
            self._requests.give(1)
            raise

    def give(self, size: int) -> None:
        """Give a place and its bytes back."""
        self._requests.give(1)
        self._bytes.give(size)


class Limits:
    """What all connections of a broker share.

    Attributes:
        requests: memory of requests that are read or under way.
        fetches: memory of answers that clients have not taken.
        quotas: of principals.
    """

    def __init__(self, settings: BrokerSettings) -> None:
        self._settings = settings
        self.requests = Budget(settings.request_memory_bytes)
        self.fetches = Budget(settings.fetch_memory_bytes)
        rates = {
            REQUESTS: settings.quota_requests,
            PRODUCE: settings.quota_produce_bytes,
            FETCH: settings.quota_fetch_bytes,
        }
        self.quotas = Quotas(
            {kind: rate for kind, rate in rates.items() if rate}, frozenset(settings.super_users)
        )
        self._lanes: WeakValueDictionary[str, Lane] = WeakValueDictionary()

    def lane(self, principal: str | None) -> Lane:
        """Return the lane of a user, which all its connections share; None is nobody's own."""
        lane = self._lanes.get(principal) if principal is not None else None
        if lane is None:
            lane = Lane(self._settings.max_requests_in_flight, self._settings.max_bytes_in_flight)
            if principal is not None:
                self._lanes[principal] = lane
        return lane

    def answer(self) -> int:
        """Return how large an answer may be now: the smaller, the more is held already."""
        return max(self.fetches.free // _SHARES, SMALLEST_ANSWER)


class Pace:
    """How much a client takes at a time; pure.

    A reader that is quick gets ever larger answers, a slow one as much as it takes in a second, so
    that it does not hold the memory that others wait for.

    Args:
        most: bytes of the largest answer.

    Attributes:
        room: bytes of its next answer.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.room = min(FIRST_ANSWER, most)

    def took(self, size: int, seconds: float) -> None:
        """Take note that an answer of so many bytes was taken in this time."""
        if seconds > _PROMPT:
            self.room = min(max(int(size / seconds), SMALLEST_ANSWER), self._most)
        elif 2 * size >= self.room:
            self.room = min(2 * self.room, self._most)


class Patience:
    """When a connection is given up; pure.

    Args:
        idle: seconds without any request.
        stalled: seconds without any progress of a request or an answer.
        now: seconds of a clock that only goes forward.
    """

    def __init__(self, idle: float, stalled: float, now: float) -> None:
        self._idle, self._stalled = idle, stalled
        self.heard = now
        self._until: float | None = None
        self._next = now
        self._unsent, self._since = 0, now

    def expect(self, size: int, now: float) -> None:
        """Take note that a request of so many bytes has begun to come."""
        self._until = now + self._stalled + size / SLOWEST
        self.came(now)

    def came(self, now: float) -> None:
        """Take note that some of the request is there."""
        self._next = now + self._stalled

    def arrived(self, now: float) -> None:
        """Take note that a request is there as a whole."""
        self.heard, self._until = now, None

    def over(self, now: float, unsent: int, *, busy: bool) -> str:
        """Return why to give the connection up; empty if there is no reason.

        Args:
            now: seconds.
            unsent: bytes of answers that the client has not taken.
            busy: whether it waits for an answer.
        """
        if unsent != self._unsent or not unsent:
            self._unsent, self._since = unsent, now
        elif now - self._since > self._stalled:
            return "unread"
        if self._until is not None:
            return "slow" if now > min(self._until, self._next) else ""
        if busy or unsent:
            self.heard = now
        return "idle" if now - self.heard > self._idle else ""
