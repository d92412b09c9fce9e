"""From readings to figures: percentiles, medians, ratios. Pure."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from ops.bench.model import Measure

State = Literal["measured", "not verified", "not run"]


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least so many percent of all are not above.

    Args:
        ordered: the values in ascending order; at least one.
        percent: above 0, at most 100 (nearest rank: a value that occurred, none between two).
    """
    if not ordered or not 0 < percent <= 100:
        raise ValueError(f"no {percent:g}th percentile of {len(ordered)} values")
    # What 99.9 % of 1000 is must not depend on how 99.9 looks in binary.
    rank = math.ceil(round(percent * len(ordered) / 100, 6))
    return ordered[rank - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One contender's readings of one measure, a reading for each round."""

    contender: str
    title: str
    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle of the readings."""
        return statistics.median(self.runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measure of one case: ours first, then its peers from the same rounds."""

    case: str
    measure: Measure
    series: tuple[Series, ...]

    def ratio(self, peer: Series) -> float:
        """Return ours divided by a peer's, both medians."""
        return self.series[0].median / peer.median if peer.median else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one scenario.

    Args:
        scenario: its name.
        engine: what it ran on: an engine, or ``both`` where engines are what is compared.
        date: the day it ran, as ISO 8601 writes it.
        state: whether there are figures.
        reason: why there are none; empty where there are.
        count: how much each run did.
        seconds: how long all of it took.
        rows: the figures.
    """

    scenario: str
    engine: str
    date: str
    state: State = "measured"
    reason: str = ""
    count: int = 0
    seconds: float = 0.0
    rows: tuple[Row, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return everything that was measured, with what follows from it."""
        return {
            "scenario": self.scenario,
            "engine": self.engine,
            "date": self.date,
            "state": self.state,
            "reason": self.reason,
            "count": self.count,
            "seconds": round(self.seconds, 1),
            "rows": [_row_to_json(row) for row in self.rows],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote."""
        return cls(**{**value, "rows": tuple(_row_from_json(row) for row in value["rows"])})


def _row_to_json(row: Row) -> dict[str, Any]:
    measure = row.measure
    return {
        "case": row.case,
        "measure": measure.name,
        "unit": measure.unit,
        "better": measure.better,
        "digits": measure.digits,
        "series": [
            {
                "contender": one.contender,
                "title": one.title,
                "runs": list(one.runs),
                "median": one.median,
                **({} if one is row.series[0] else {"ratio": round(row.ratio(one), 3)}),
            }
            for one in row.series
        ],
    }


def _row_from_json(value: Mapping[str, Any]) -> Row:
    return Row(
        case=value["case"],
        measure=Measure(
            name=value["measure"],
            unit=value["unit"],
            better=value["better"],
            digits=value["digits"],
        ),
        series=tuple(
            Series(contender=one["contender"], title=one["title"], runs=tuple(one["runs"]))
            for one in value["series"]
        ),
    )
