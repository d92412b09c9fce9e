"""The command line of the counts' publisher."""

from pathlib import Path
from typing import Annotated

import typer

from bus.cli.options import Format, Kafka, Output, Registry
from producers.options import Limit, Patience, Rate, Wait

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="one CSV file for each station, as its counter exports it [default: three "
            "stations of Münster in July 2026 that are shipped]",
            show_default=False,
        ),
    ] = None,
    state: Annotated[
        Path, typer.Option(metavar="FILE", help="where it is kept how far each file is published")
    ] = Path("counts.sqlite"),
    system: Annotated[str, typer.Option(help="the system that publishes")] = (
        "de.mun.055150000000.zaehlstellen"
    ),
    municipality: Annotated[
        str, typer.Option(metavar="ARS", help="the municipality that the stations stand in")
    ] = "055150000000",
    rate: Rate = None,
    limit: Limit = None,
    patience: Patience = 60.0,
    wait: Wait = 0.0,
    kafka: Kafka = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Publish what counting stations have counted, every quarter of an hour and channel.

    Rows that cannot be used are told of and left out; the exit code is 7 then.
    """
    from bus.cli.edge import leaving_in_order, run_program
    from bus.cli.options import client_settings
    from producers.counts.counter import Job, publish
    from producers.progress import Progress

    with leaving_in_order():
        settings = client_settings(kafka, registry)
    job = Job(
        files=files or [],
        state=state,
        system=system,
        municipality=municipality,
        rate=rate,
        limit=limit,
        patience=patience,
        wait=wait,
    )
    progress = Progress(json=output is Format.json)
    run_program(lambda stop: publish(job, settings, stop, progress))


if __name__ == "__main__":
    app()
