"""`make bench`: speed and memory, as ratios to peers in one run.

    python -m ops.bench [SCENARIO …] [--engine embedded|kafka] [--rounds N] [--count N] [--quick]
                        [--write] [-o json]

Contenders are processes of their own and take turns, on engines that are started for the purpose.
A scenario whose data were not what they should be has no figures, and the exit code is 1. What
compares the two engines with each other belongs to the run on the embedded one; name it to run it
with another. Progress goes to standard error.
"""

import argparse
import json
import sys
from collections.abc import Sequence

from bus.cli.edge import say
from bus.errors import nearest
from ops.bench.figures import Outcome, Row
from ops.bench.machine import machine
from ops.bench.model import ENGINES, Scenario
from ops.bench.page import figure
from ops.bench.results import PAGE, Results, read, write
from ops.bench.running import Plan, measured
from ops.bench.scenarios import SCENARIOS

QUICK_ROUNDS, ROUNDS = 1, 5
QUICK = "This was a quick run: it shows that everything works, and is no measurement."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run scenarios, print what they measured, and return the exit code."""
    given = _parser().parse_args(arguments)
    if given.write and (given.quick or given.count or (given.rounds or ROUNDS) < ROUNDS):
        say(f"✘ A page is written of whole runs only: leave out --quick and --count, and take at "
            f"least {ROUNDS} rounds.")  # fmt: skip
        return 2
    rounds = given.rounds or (QUICK_ROUNDS if given.quick else ROUNDS)
    plan = Plan(engine=given.engine, rounds=rounds, count=given.count, quick=given.quick)
    outcomes = [measured(one, plan, say) for one in chosen(given.scenarios, plan)]
    results = Results(machine=machine(), outcomes=outcomes)
    if given.output == "json":
        print(json.dumps({"quick": given.quick, **results.to_json()}, ensure_ascii=False))
    else:
        print(_table(results))
    if given.quick:
        say(QUICK)
    if given.write:
        write(results.after(read()))
        say(f"Written: {PAGE.name}")
    return exit_code(outcomes, named=bool(given.scenarios))


def chosen(names: Sequence[str], plan: Plan) -> list[Scenario]:
    """Return the scenarios that a run consists of, in the order of the page."""
    if names:
        return [one for name, one in SCENARIOS.items() if name in names]
    return [one for one in SCENARIOS.values() if one.stage == "bus" or plan.engine == "embedded"]


def exit_code(outcomes: Sequence[Outcome], *, named: bool) -> int:
    """Return 1 where a scenario was not verified, 2 where a named one could not run, or 0."""
    states = {outcome.state for outcome in outcomes}
    if "not verified" in states:
        return 1
    return 2 if named and "not run" in states else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ops.bench", description="speed and memory, as ratios to peers in one run"
    )
    parser.add_argument(
        "scenarios",
        nargs="*",
        metavar="SCENARIO",
        type=_scenario,
        help=f"one or more of {', '.join(SCENARIOS)}; all if none is given",
    )
    parser.add_argument(
        "--engine",
        choices=list(ENGINES),
        default="embedded",
        help="what to run on; what compares engines always runs both",
    )
    parser.add_argument("--rounds", type=_positive, help=f"of each contender [default: {ROUNDS}]")
    parser.add_argument("--count", type=_positive, help="how much each run does [each its own]")
    parser.add_argument("--quick", action="store_true", help="small counts; no measurement")
    parser.add_argument("--write", action="store_true", help=f"write docs/{PAGE.name}")
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    return parser


def _scenario(text: str) -> str:
    if text not in SCENARIOS:
        raise argparse.ArgumentTypeError(f'"{text}" is unknown; {nearest(text, [*SCENARIOS])}')
    return text


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("is below 1")
    return value


def _table(results: Results) -> str:
    lines = [", ".join(f"{name} {value}" for name, value in results.machine.items())]
    for outcome in results.outcomes:
        lines.append(f"\n{SCENARIOS[outcome.scenario].title} ({outcome.engine})")
        if outcome.state != "measured":
            lines.append(f"  {outcome.state}: {outcome.reason}")
        lines += [f"  {line}" for row in outcome.rows for line in _told(row)]
    return "\n".join(lines)


def _told(row: Row) -> list[str]:
    measure, ours = row.measure, row.series[0]
    about = ", ".join(filter(None, [row.case, measure.name]))
    return [
        f"{about}: {ours.title} {figure(ours, measure)} {measure.unit}, {measure.better} is better",
        *(
            f"  {row.ratio(peer):.2f} times {peer.title} {figure(peer, measure)} {measure.unit}"
            for peer in row.series[1:]
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
