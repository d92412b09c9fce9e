"""An event as the tail shows it, and which ones somebody wants to see. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bus.kafka import Fetched

LONGEST = 200
"""Characters of a filter that count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What of an event may be sensitive.

    Args:
        key: its key.
        subject: what it is about; None: it does not say.
        data: as JSON; None: the key's last state ended with it.
    """

    key: str
    subject: str | None
    data: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An event, or a record that is none.

    Args:
        partition, offset: where it lies.
        at: when it was appended, in seconds since 1970.
        source: the system that announced it.
        masked: what everybody may see; None where it could not be decoded.
        clear: the same without masks.
        fault: in a word why it could not be decoded; empty if it was.
        why: the same in a sentence; empty where that could tell something of what is masked.
        size: bytes that it takes in memory, roughly.
        record: what it was made of, where it can be decoded once the registry is back.
        texts: how it is shown, by language and by whether it is without masks: made for the first
            who sees it, and kept for the others.
    """

    partition: int
    offset: int
    at: float
    source: str = ""
    masked: Payload | None = None
    clear: Payload | None = None
    fault: str = ""
    why: str = ""
    size: int = 200
    record: Fetched | None = field(default=None, compare=False, repr=False)
    texts: dict[tuple[str, bool], Mapping[str, str]] = field(
        default_factory=dict, compare=False, repr=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which events somebody wants to see; all that is given has to be in them, case aside.

    What is masked cannot be found: else one could find out by trying what it is.

    Args:
        key: text in the key.
        source: text in the system's name.
        value: text in the data.
    """

    key: str = ""
    source: str = ""
    value: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether everything is wanted, what cannot be decoded included."""
        return not (self.key or self.source or self.value)

    def holds(self, line: Line) -> bool:
        """Whether an event is wanted."""
        if self.is_empty:
            return True
        shown = line.masked
        return (
            shown is not None
            and self.key.casefold() in shown.key.casefold()
            and self.source.casefold() in line.source.casefold()
            and self.value.casefold() in (shown.data or "").casefold()
        )
