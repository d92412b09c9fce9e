"""The demo's traffic: a recorded morning of Köln, and the mornings after it.

The first is real. Those after it are the same with later dates, made up, so that there is something
to see for as long as a demo runs.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

_DAY = re.compile(r'(?<=^")[0-9]{4}-[0-9]{2}-[0-9]{2}(?= )', re.MULTILINE)
"""The day that begins a row, in quotes as all text of the recording."""


@dataclass(slots=True)
class Recording:
    """The morning that is replayed now, as a file of a folder.

    The file's name has the day, so a demo that is started again goes on where it was.
    """

    folder: Path
    text: str
    day: date

    @classmethod
    def open(cls, folder: Path, text: str) -> "Recording":
        """Begin with the recorded morning, or go on with the one that the folder has.

        Args:
            folder: the demo's.
            text: the recording, each row beginning with its day.
        """
        told = max(folder.glob("traffic-*.csv"), default=None)
        first = _DAY.search(text)
        if first is None:
            raise ValueError("the recording has no rows")
        day = told.stem.removeprefix("traffic-") if told else first.group()
        recording = cls(folder, text, date.fromisoformat(day))
        if not told:
            recording._write()
        return recording

    @property
    def file(self) -> Path:
        """The morning's file."""
        return self.folder / f"traffic-{self.day}.csv"

    def turn(self, now: datetime | None = None) -> bool:
        """Go on to the next morning; return False if that is still to come.

        Args:
            now: UTC; the clock's if None. The bus takes no observation from the future.
        """
        following = self.day + timedelta(days=1)
        if following >= (now or datetime.now(UTC)).date():
            return False
        done, self.day = self.file, following
        self._write()
        done.unlink(missing_ok=True)
        return True

    def _write(self) -> None:
        part = self.file.with_suffix(".part")
        part.write_text(_DAY.sub(self.day.isoformat(), self.text), encoding="utf-8")
        part.replace(self.file)
