"""The command line of the count report."""

from typing import Annotated

import typer

from bus.cli.options import Format, Kafka, Output, Registry
from consumers.options import Database, Promise

GROUP = "de.agency.statistik.count-report"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    database: Database = "sqlite:///count-report.db",
    report: Annotated[
        bool, typer.Option("--report", help="print the totals so far, and end")
    ] = False,
    delay: Annotated[
        float,
        typer.Option(min=0.0, metavar="SECONDS", help="take so long for each event, on purpose"),
    ] = 0.0,
    promise: Promise = None,
    group: Annotated[str, typer.Option(help="the consumer group")] = GROUP,
    kafka: Kafka = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Keep daily totals of counting stations, bicycles and cars apart.

    The days are those of Europe/Berlin. `readings` of `expected` says how much of a day is known.
    """
    from bus.cli.edge import leaving_in_order, run_program
    from bus.cli.options import client_settings
    from consumers.count_report.statistics import Job, keep_totals, print_totals
    from consumers.progress import Progress

    with leaving_in_order():
        settings = client_settings(kafka, registry)
    progress = Progress(group, json=output is Format.json)
    job = Job(database=database, delay=delay, promise=promise, output=output)
    if report:
        run_program(lambda _: print_totals(job, progress))
    run_program(lambda stop: keep_totals(job, settings, stop, progress))


if __name__ == "__main__":
    app()
