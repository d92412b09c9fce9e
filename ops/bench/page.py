"""The page of benchmarks: made by a run, from what it measured. Pure."""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ops.bench.figures import Outcome, Row, Series
from ops.bench.model import Measure, Scenario

_HEAD = """\
# Benchmarks

This page is written by `python -m ops.bench --write`; what it is made of lies beside it in
`benchmarks.json`. Do not edit it: run the command (`make bench ARGS=--write`, and
`make bench ENGINE=kafka ARGS=--write`) on a machine that does nothing else.

## How to read it

- Every figure is the median of its rounds, with the lowest and the highest of them behind it. In
  each round all contenders run in turn, each as a process of its own, on the same engine and on the
  same cores.
- What counts is the ratio to the peer of the same rounds: ours divided by the peer's. With ▲ more
  is better, so a ratio above 1 is in our favour; with ▼ less is better, so a ratio below 1 is.
- Every run verifies its own data after (or while) it is timed. A scenario in which one run did not
  find what it should has no figures here, only the reason.
- Engine and clients share the machine's cores. The figures are this machine's; take them for
  proportions.
"""


def page(
    scenarios: Iterable[Scenario], machine: Mapping[str, str], outcomes: Sequence[Outcome]
) -> str:
    """Return the page as Markdown.

    Args:
        scenarios: in the order of the page; those without an outcome are left out.
        machine: what it was measured on.
        outcomes: of one or several runs on that machine.
    """
    parts = [_HEAD, "## The machine\n", _table(["what", "which"], machine.items())]
    for scenario in scenarios:
        found = [one for one in outcomes if one.scenario == scenario.name]
        if found:
            parts.append("\n".join(_section(scenario, found)))
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _section(scenario: Scenario, outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield f"## {scenario.title}\n"
    yield f"{scenario.what}\n"
    yield f"Verified: {scenario.verified}\n"
    rows = [(outcome, row) for outcome in outcomes for row in outcome.rows]
    if rows:
        peers = rows[0][1].series[1:]
        with_engine = scenario.stage == "bus"
        with_case = any(row.case for _, row in rows)
        heads = [
            *(["engine"] if with_engine else []),
            *(["case"] if with_case else []),
            "measured",
            rows[0][1].series[0].title,
            *(name for peer in peers for name in (peer.title, "ratio")),
        ]
        yield _table(
            heads,
            (
                [
                    *([outcome.engine] if with_engine else []),
                    *([row.case] if with_case else []),
                    *_cells(row),
                ]
                for outcome, row in rows
            ),
        )
    for outcome in outcomes:
        yield _footnote(scenario, outcome)


def _cells(row: Row) -> Iterator[str]:
    arrow = "▲" if row.measure.better == "more" else "▼"
    yield f"{row.measure.name}, {row.measure.unit} {arrow}"
    yield figure(row.series[0], row.measure)
    for peer in row.series[1:]:
        yield figure(peer, row.measure)
        yield f"**{row.ratio(peer):.2f}**"


def figure(series: Series, measure: Measure) -> str:
    """Return a contender's median with its lowest and highest reading."""

    def text(value: float) -> str:
        return f"{value:,.{measure.digits}f}"

    least, most = min(series.runs), max(series.runs)
    return f"{text(statistics.median(series.runs))} ({text(least)} to {text(most)})"


def _footnote(scenario: Scenario, outcome: Outcome) -> str:
    where = "" if outcome.engine == "both" else f" on the {outcome.engine} engine"
    if outcome.state != "measured":
        return (
            f"Not {outcome.state.removeprefix('not ')}{where} ({outcome.date}): {outcome.reason}\n"
        )
    rounds = len(outcome.rows[0].series[0].runs)
    return (
        f"Measured{where} on {outcome.date}: {rounds} rounds, {outcome.count:,} {scenario.counted} "
        f"in each run, {outcome.seconds:,.0f} s in all.\n"
    )


def _table(heads: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
