"""What runs found, kept beside the page that is made of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ops.bench.figures import Outcome
from ops.bench.page import page
from ops.bench.scenarios import SCENARIOS

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Outcomes that were measured on one machine with the same versions of everything."""

    machine: Mapping[str, str]
    outcomes: Sequence[Outcome]

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {
            "machine": dict(self.machine),
            "outcomes": [outcome.to_json() for outcome in self.outcomes],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote."""
        outcomes = [Outcome.from_json(one) for one in value["outcomes"]]
        return cls(machine=value["machine"], outcomes=outcomes)

    def after(self, earlier: "Results | None") -> "Results":
        """Return these results with what earlier ones have besides.

        Figures of another machine or of other versions are dropped: a page with both would
        invite comparisons that no run has made.
        """
        if earlier is None or earlier.machine != self.machine:
            return self
        new = {(one.scenario, one.engine) for one in self.outcomes}
        kept = [one for one in earlier.outcomes if (one.scenario, one.engine) not in new]
        ordered = sorted([*kept, *self.outcomes], key=lambda one: one.engine)
        return Results(machine=self.machine, outcomes=ordered)

    @property
    def page(self) -> str:
        """The page."""
        return page(SCENARIOS.values(), self.machine, self.outcomes)


def read(beside: Path = PAGE) -> Results | None:
    """Return the results behind a page; None if there is none yet."""
    file = beside.with_suffix(".json")
    if not file.exists():
        return None
    return Results.from_json(json.loads(file.read_text(encoding="utf-8")))


def write(results: Results, at: Path = PAGE) -> None:
    """Write a page and the results behind it."""
    kept = results.to_json()
    text = json.dumps(kept, indent=1, ensure_ascii=False)
    at.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    # Of what is kept, which is rounded: rounded once more, the page would be another one.
    at.write_text(Results.from_json(kept).page, encoding="utf-8")
