"""The live tail: one reader of a topic for all who follow it, and what each has seen of it.

`line.py` is an event as it is shown, `follower.py` counts what one viewer is shown and what not
(both pure); `decoding.py` makes lines of records, `feed.py` reads them, `feeds.py` has one feed for
each topic that somebody follows.
"""

from bus.portal.tailing.feeds import Feeds
from bus.portal.tailing.follower import MOST_ROWS, Follower, Update, read_positions, write_positions
from bus.portal.tailing.line import Filter, Line, Payload

__all__ = [
    "MOST_ROWS",
    "Feeds",
    "Filter",
    "Follower",
    "Line",
    "Payload",
    "Update",
    "read_positions",
    "write_positions",
]
