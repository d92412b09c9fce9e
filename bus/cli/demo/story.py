"""How the register's demo goes on: which snapshot comes next, over stops and starts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from bus.cli.demo.register import Register, Row
from bus.errors import InvalidSettings

FIRST_DAY = date(2023, 6, 1)
"""The day that the real addresses show; each snapshot shows one day more."""


@dataclass(slots=True)
class Story:
    """The snapshots so far: the seed, and how many addresses each one added.

    Kept in the demo's folder, so that a demo that is started again goes on where it was.
    """

    file: Path
    seed: int
    register: Register
    added: list[int] = field(default_factory=list)

    @classmethod
    def open(cls, file: Path, rows: Sequence[Row], seed: int | None) -> "Story":
        """Begin a story, or go on with the one that the file tells of.

        Raises:
            InvalidSettings: the file tells of another seed than the one asked for.
        """
        told = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
        if told is not None and seed is not None and told["seed"] != seed:
            raise InvalidSettings(
                f"this demo began with seed {told['seed']}, not {seed}",
                where=str(file.parent),
                remedy="leave out --seed to go on with it, or begin anew with --reset",
            )
        chosen: int = told["seed"] if told else 1 if seed is None else seed
        story = cls(file, chosen, Register.seeded(rows, chosen))
        for count in told["added"] if told else ():
            story._turn(count)
        return story

    @property
    def day(self) -> date:
        """The day that the newest snapshot shows."""
        return FIRST_DAY + timedelta(days=len(self.added) - 1)

    def next(self, count: int, snapshot: Path) -> None:
        """Write the next snapshot: ``count`` addresses more, and some made-up changes."""
        self._turn(count)
        self.register.write(snapshot)
        self.file.write_text(json.dumps({"seed": self.seed, "added": self.added}))

    def _turn(self, count: int) -> None:
        if self.added:
            self.register = self.register.change(self.seed * 1000 + len(self.added))
        self.register = self.register.grow(count)
        self.added.append(count)
