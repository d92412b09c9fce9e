"""What is told of security, on the logger ``stadtbus.audit``, by whoever has something to tell.

What is told again and again is told at once and then with its count once a minute, so that nobody
can fill the disk. Each sort of lines, and each one of whom they are, has a number of its own: so
that nobody hides in another's noise.
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass

REPEAT_SECONDS = 60.0
MOST_KINDS = 1000  # of lines of a sort that are counted apart
MOST_OF_ONE = 100  # of them, about one user or address
LONGEST = 200  # characters of a value that a client chose

log = logging.getLogger("stadtbus.audit")


@dataclass(slots=True)
class _Told:
    line: str
    at: float
    of: tuple[str, str]
    more: int = 0


class Notes:
    """Writes lines, and counts those that repeat.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[Hashable, _Told] = {}
        self._sorts: Counter[str] = Counter()
        self._of: Counter[tuple[str, str]] = Counter()

    def repeated(self, sort: str, what: Hashable) -> bool:
        """Count something that was told within the last minute; return whether it was."""
        known = self._told.get((sort, what))
        if known is None or self._clock() - known.at >= REPEAT_SECONDS:
            return False
        known.more += 1
        return True

    def tell(self, sort: str, who: str, what: Hashable, line: str) -> None:
        """Write a line, or count it.

        Args:
            sort: such as ``denied``.
            who: the user or address that it is about.
            what: tells it from other lines of its sort.
            line: what to write.
        """
        if self.repeated(sort, what):
            return
        self.flush()
        if self._sorts[sort] >= MOST_KINDS:
            who, what = "", "more"
            line = f"too many different lines to tell each: {sort}"
        elif self._of[sort, who] >= MOST_OF_ONE:
            what = ("more", who)
            line = f"too many different lines to tell each: {sort} {quoted(who)}"
        if not self.repeated(sort, what):
            self._told[sort, what] = _Told(line, self._clock(), (sort, who))
            self._sorts[sort] += 1
            self._of[sort, who] += 1
            log.warning("%s", line)

    def flush(self) -> None:
        """Tell how often repeated what was told a minute ago; to be called now and then."""
        now = self._clock()
        # In the order in which they were told, so that those that are due stand in front.
        while self._told:
            key, told = next(iter(self._told.items()))
            if now - told.at < REPEAT_SECONDS:
                return
            del self._told[key]
            self._sorts[told.of[0]] -= 1
            self._of[told.of] -= 1
            if not self._of[told.of]:
                del self._of[told.of]
            if told.more:
                log.warning("%s repeated=%s", told.line, told.more)


def quoted(text: str) -> str:
    """Return a value that a client chose so that it cannot pass for anything else in a line.

    What is not printed is escaped: ends of lines beyond ASCII's, and what directs a terminal or
    turns the direction of writing.
    """
    written = json.dumps(text if len(text) <= LONGEST else f"{text[:LONGEST]}…", ensure_ascii=False)
    return "".join(one if one.isprintable() else _escaped(one) for one in written)


def _escaped(one: str) -> str:
    return f"\\u{ord(one):04x}" if ord(one) < 2**16 else f"\\U{ord(one):08x}"
