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

    def exit_code(self) -> int | None:
        """Return the exit code of the run, and tell the total if there is any."""
        if not self.rows:
            return None
        say(f"{self.rows} rows were refused; all others were published")
        return SKIPPED_RECORDS
