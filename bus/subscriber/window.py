"""Which events were handled lately, so that a repeat is dropped. Pure."""

from bus.event import Event

SIZE = 20_000
"""Events of one partition that are remembered."""


class Window:
    """The events of one partition that were handled last.

    Args:
        size: how many are remembered.
    """

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._seen: dict[tuple[str, str], None] = {}

    def __contains__(self, event: Event) -> bool:
        return (event.source, event.id) in self._seen

    def add(self, event: Event) -> None:
        """Remember an event, and forget the oldest one when there are too many."""
        self._seen[event.source, event.id] = None
        if len(self._seen) > self._size:
            del self._seen[next(iter(self._seen))]

    def discard(self, event: Event) -> None:
        """Forget an event."""
        self._seen.pop((event.source, event.id), None)
