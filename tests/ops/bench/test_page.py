"""The page is made of what a run measured, and of nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from ops.bench.figures import Outcome, Row, Series
from ops.bench.model import Contender, Measure, Scenario, Stage
from ops.bench.page import figure, page
from ops.bench.results import PAGE, Results, read, write

MACHINE = {"CPU": "a slow one", "Apache Kafka": "4.3.1"}


def scenario(stage: Stage = "bus") -> Scenario:
    return Scenario(
        name="try",
        title="Try it",
        what="What is measured.",
        verified="By looking.",
        measures=(),
        contenders=(Contender(name="a", title="A", run="x:y"),),
        stage=stage,
        count=1,
        counted="events",
        quick=1,
    )


def outcome(engine: str = "embedded", case: str = "") -> Outcome:
    return Outcome(
        scenario="try",
        engine=engine,
        date="2026-11-21",
        count=200_000,
        seconds=61.4,
        rows=(
            Row(
                case=case,
                measure=Measure(name="throughput", unit="events/s", better="more"),
                series=(
                    Series(contender="a", title="Ours", runs=(1000.0, 3000.0, 2000.0)),
                    Series(contender="b", title="Peer", runs=(800.0, 800.0, 800.0)),
                    Series(contender="c", title="Other", runs=(4000.0, 4000.0, 4000.0)),
                ),
            ),
            Row(
                case=case,
                measure=Measure(name="p99", unit="ms", better="less", digits=2),
                series=(
                    Series(contender="a", title="Ours", runs=(1.5,)),
                    Series(contender="b", title="Peer", runs=(3.0,)),
                    Series(contender="c", title="Other", runs=(1.0,)),
                ),
            ),
        ),
    )


def test_a_row_has_medians_spans_ratios_and_which_way_is_better() -> None:
    text = page([scenario()], MACHINE, [outcome()])
    assert "| engine | measured | Ours | Peer | ratio | Other | ratio |" in text
    assert (
        "| embedded | throughput, events/s ▲ | 2,000 (1,000 to 3,000) | 800 (800 to 800) "
        "| **2.50** | 4,000 (4,000 to 4,000) | **0.50** |" in text
    )
    assert (
        "| embedded | p99, ms ▼ | 1.50 (1.50 to 1.50) | 3.00 (3.00 to 3.00) | **0.50** "
        "| 1.00 (1.00 to 1.00) | **1.50** |" in text
    )


def test_a_section_says_what_how_and_when() -> None:
    text = page([scenario()], MACHINE, [outcome()])
    assert "## Try it\n\nWhat is measured.\n\nVerified: By looking.\n\n|" in text
    assert (
        "Measured on the embedded engine on 2026-11-21: 3 rounds, 200,000 events "
        "in each run, 61 s in all." in text
    )


def test_the_machine_is_on_the_page() -> None:
    text = page([scenario()], MACHINE, [outcome()])
    assert "| CPU | a slow one |\n| Apache Kafka | 4.3.1 |" in text


def test_engines_are_rows_of_one_table_and_cases_have_their_column() -> None:
    text = page([scenario()], MACHINE, [outcome(case="x"), outcome("kafka", case="x")])
    assert text.count("| engine | case | measured |") == 1
    assert "| embedded | x | throughput" in text
    assert "| kafka | x | throughput" in text


def test_where_engines_are_compared_no_row_names_one() -> None:
    text = page([scenario("engines")], MACHINE, [outcome("both")])
    assert "| measured | Ours | Peer |" in text
    assert "Measured on 2026-11-21: 3 rounds," in text


@pytest.mark.parametrize(
    ("state", "says"),
    [
        pytest.param("not verified", "Not verified on the kafka engine", id="not verified"),
        pytest.param("not run", "Not run on the kafka engine", id="not run"),
    ],
)
def test_what_has_no_figures_has_a_reason(state: str, says: str) -> None:
    failed = Outcome(
        scenario="try",
        engine="kafka",
        date="2026-11-21",
        state="not run" if state == "not run" else "not verified",
        reason="there is no Java",
    )
    text = page([scenario()], MACHINE, [failed])
    assert f"{says} (2026-11-21): there is no Java" in text
    assert "▲" not in text.partition("## Try it")[2]


def test_scenarios_without_an_outcome_are_not_on_the_page() -> None:
    assert "Try it" not in page([scenario()], MACHINE, [])


def test_a_figure_has_the_digits_of_its_measure() -> None:
    runs = Series(contender="a", title="A", runs=(1234.5, 1234.6, 1234.75))
    assert figure(runs, Measure(name="x", unit="s", better="less", digits=1)) == (
        "1,234.6 (1,234.5 to 1,234.8)"
    )


def test_results_keep_what_was_not_measured_again() -> None:
    earlier = Results(machine=MACHINE, outcomes=[outcome("embedded"), outcome("kafka")])
    newer = Outcome(scenario="try", engine="kafka", date="2026-12-01")
    both = Results(machine=MACHINE, outcomes=[newer]).after(earlier)
    assert [(one.engine, one.date) for one in both.outcomes] == [
        ("embedded", "2026-11-21"),
        ("kafka", "2026-12-01"),
    ]


def test_results_drop_what_was_measured_elsewhere() -> None:
    earlier = Results(machine={"CPU": "a fast one"}, outcomes=[outcome("embedded")])
    newer = Results(machine=MACHINE, outcomes=[outcome("kafka")])
    assert newer.after(earlier) == newer


def test_results_survive_their_json() -> None:
    results = Results(machine=MACHINE, outcomes=[outcome()])
    assert Results.from_json(results.to_json()) == results


def test_a_page_is_written_of_what_is_kept(tmp_path: Path) -> None:
    rounded_twice = replace(outcome(), scenario="consume", seconds=71.46)
    write(Results(machine=MACHINE, outcomes=[rounded_twice]), at := tmp_path / "page.md")
    results = read(at)
    assert results is not None
    assert at.read_text(encoding="utf-8") == results.page


def test_the_page_is_what_its_results_make_of_it() -> None:
    results = read()
    written = PAGE.read_text(encoding="utf-8") if PAGE.exists() else None
    assert (results and results.page) == written
