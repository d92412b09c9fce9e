"""The first row of a partition that begins in the middle of it: what lies before is cut out."""

import logging
from collections.abc import Generator
from dataclasses import dataclass

from bus.broker.compaction.messages import Step
from bus.broker.compaction.rewriting import since
from bus.broker.compression import Unreadable
from bus.broker.storage.log import SealedRow

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Cutting:
    """The work on one row, which is done in slices as others write meanwhile.

    Attributes:
        partition: its number.
        start: where it begins.
        done: whether there is no more to do.
        step: what puts the rest of the row in its place, once done; None if it is to stay.
    """

    partition: int
    start: int
    row: SealedRow
    work: Generator[None, None, bytes]
    done: bool = False
    step: Step | None = None

    @classmethod
    def of(cls, partition: int, start: int, row: SealedRow) -> "Cutting":
        """Return the work, not yet begun."""
        return cls(partition, start, row, since(row.batches, start))

    def go_on(self) -> None:
        """Do the next slice, of some milliseconds."""
        row = self.row
        try:
            next(self.work)
        except StopIteration as ended:
            self.done, left = True, ended.value
            if left != row.batches:
                newest = row.newest if left else -1
                self.step = Step(((row.base, row.seal),), row.next, newest, (), left)
        except (Unreadable, IndexError) as error:
            self.done = True
            log.error("what was deleted of the row at %s stays in it: %s", row.base, error)
