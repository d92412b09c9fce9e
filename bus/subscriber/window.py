"""Which events were handled lately, so that a repeat is dropped. Pure."""

from collections import OrderedDict

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
        # A plain dict looks for its oldest entry behind all those that were deleted before it.
        self._seen: OrderedDict[tuple[str, str, str | None], None] = OrderedDict()

    def __contains__(self, event: Event) -> bool:
        return (event.source, event.id, event.state) in self._seen

    def add(self, event: Event) -> None:
        """Remember an event, and forget the oldest one when there are too many."""
        self.remember(event.source, event.id, event.state)

    def remember(self, source: str, id_: str, state: str | None = None) -> None:
        """Remember an event by what tells it from all others.

        On a feed that is the state of the journal, too: what was withdrawn and is granted again,
        or is given with other fields, comes as the same event once more, and is no repeat.
        """
        self._seen[source, id_, state] = None
        if len(self._seen) > self._size:
            self._seen.popitem(last=False)

    def discard(self, event: Event) -> None:
        """Forget an event."""
        self._seen.pop((event.source, event.id, event.state), None)
