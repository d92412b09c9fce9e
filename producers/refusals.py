"""Rows of a file that could not be used; each is told of once, and the others go on."""

from dataclasses import dataclass

from bus.cli.edge import explain, say
from bus.errors import InvalidInput

SKIPPED_RECORDS = 7
"""The exit code of a run that left rows out."""


@dataclass(slots=True)
class Refusals:
    """Counts refused rows."""

    rows: int = 0

    def note(self, error: InvalidInput) -> None:
        """Tell of a row, and count it."""
        self.rows += 1
        say(explain(error))

    def exit_code(self, *, complete: bool) -> int | None:
        """Return the exit code of the run, and tell the total if there is any.

        Args:
            complete: whether the source was published to its end.
        """
        if not self.rows:
            return None
        rest = "all others were published" if complete else "others are still to be published"
        rows = "1 row was" if self.rows == 1 else f"{self.rows} rows were"
        say(f"{rows} refused; {rest}")
        return SKIPPED_RECORDS
