"""What to do about a handler that failed: decided here, waited for elsewhere."""

from dataclasses import dataclass

from bus.errors import BadEvent


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Try the same event again after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Set the event aside and go on with the next one."""

    detail: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Leave the partition alone for so many seconds, say so, then begin anew."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How patient a subscriber is.

    Args:
        first: seconds before the second attempt; each further wait is twice as long.
        longest: seconds that a wait grows to at the most.
        limit: attempts in a row after which the partition pauses.
        pause: seconds that it pauses.
    """

    first: float = 0.1
    longest: float = 10.0
    limit: int = 6
    pause: float = 30.0

    def decide(self, error: Exception, attempt: int) -> RetryAfter | DeadLetter | Pause:
        """Return what follows a failure; attempts count from 1.

        Only `BadEvent` is the event's fault. Anything else is the subscriber's own trouble, and a
        database that is down must not empty a topic into dead letters.
        """
        if isinstance(error, BadEvent):
            return DeadLetter(str(error))
        if attempt >= self.limit:
            name = type(error).__name__
            return Pause(self.pause, f"failed {attempt} times in a row, at last: {name}: {error}")
        return RetryAfter(min(self.first * 2 ** (attempt - 1), self.longest))
