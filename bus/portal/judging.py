"""What a subscription's figures mean, against what was promised; pure."""

from enum import Enum

from bus.portal.states import State
from bus.watch.survey import Subscription

STALLED = 900.0
"""Seconds without progress, with events to read, after which a subscriber counts as stalled."""

DANGER, WORSE = 0.5, 0.8
"""Shares of a topic's retention: who is so far behind is about to miss events."""


class Finding(Enum):
    """What can be said of a subscription, worst first."""

    LOST = "lost"
    """Events were deleted before it read them."""
    VANISHING = "vanishing"
    """It will miss events soon, as they are deleted by their age."""
    STRAYED = "strayed"
    """Its position lies behind the topic's end, as the topic was made anew: it cannot go on."""
    STALLED = "stalled"
    """It has events to read and makes no progress."""
    ENDANGERED = "endangered"
    """It is so far behind that it may come to miss events."""
    LATE = "late"
    """It is behind by more than it promised."""
    NEVER = "never"
    """It has never committed a position."""
    UNREADABLE = "unreadable"
    """How late it is could not be found out."""
    READING = "reading"
    """It has events to read, and keeps what it promised."""
    CURRENT = "current"
    """It has read everything."""

    @property
    def state(self) -> State:
        """How bad that is."""
        return _STATES[self]


_STATES = {
    Finding.LOST: State.BAD,
    Finding.VANISHING: State.BAD,
    Finding.STRAYED: State.BAD,
    Finding.STALLED: State.BAD,
    Finding.ENDANGERED: State.WARNING,
    Finding.LATE: State.WARNING,
    Finding.NEVER: State.UNKNOWN,
    Finding.UNREADABLE: State.UNKNOWN,
    Finding.READING: State.GOOD,
    Finding.CURRENT: State.GOOD,
}


def judged(one: Subscription, retention: float | None, now: float) -> Finding:
    """Return the worst that can be said of a subscription.

    Args:
        one: the subscription.
        retention: how long its topic keeps events, in seconds; None: for ever, or nobody knows.
        now: seconds since 1970.
    """
    if one.lost > 0:
        return Finding.LOST
    if one.ahead > 0:
        return Finding.STRAYED
    if one.never_committed:
        return Finding.NEVER
    if one.seconds is None:
        return Finding.UNREADABLE
    share = one.seconds / retention if retention else 0.0
    if share > WORSE:
        return Finding.VANISHING
    if one.records > 0 and one.moved is not None and now - one.moved > STALLED:
        return Finding.STALLED
    if share > DANGER:
        return Finding.ENDANGERED
    if one.promise is not None and one.seconds > one.promise:
        return Finding.LATE
    return Finding.READING if one.records > 0 else Finding.CURRENT
