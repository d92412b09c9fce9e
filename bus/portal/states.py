"""What state something is in: always an icon, a word and a colour, never one of them alone."""

from enum import Enum


class State(Enum):
    """How something is doing; the value names its icon and its colour."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"
    QUIET = "quiet"
    """Nothing is wrong, and nothing happens."""
    UNKNOWN = "unknown"

    @property
    def severity(self) -> int:
        """Larger is worse."""
        return _SEVERITY[self]


_SEVERITY = {
    State.QUIET: 0,
    State.GOOD: 1,
    State.UNKNOWN: 2,
    State.WARNING: 3,
    State.BAD: 4,
}
