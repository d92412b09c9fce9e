"""Finds the last record of a partition that a reader would get, where its end holds none. Pure.

Behind it are the marks of transactions, what they took back, and what cannot be read. All that can
be asked for is the first record at or after an offset.
"""


class Backwards:
    """A search from a partition's end: by doubling steps until there is a record, then halving.

    Args:
        first: the partition's first offset.
        end: its end; at the offset before it there is nothing that a reader would get.
    """

    def __init__(self, first: int, end: int) -> None:
        self._first, self._nothing, self._step = first, end - 1, 1
        self._something: int | None = None
        self.time: float | None = None
        """When the last record found so far was appended, in seconds since 1970."""

    @property
    def ask(self) -> int | None:
        """The offset to ask for next; None: `time` is that of the last record, if there is any."""
        if self._something is None:
            if self._nothing <= self._first:
                return None
            return max(self._nothing - self._step, self._first)
        middle = (self._something + self._nothing) // 2
        return middle if middle > self._something else None

    def learn(self, offset: int, time: float | None) -> None:
        """Take the answer.

        Args:
            offset: what was asked for.
            time: when the first record at or after it was appended; None: there is none.
        """
        if time is None:
            self._nothing, self._step = offset, self._step * 2
        else:
            self._something, self.time = offset, time
