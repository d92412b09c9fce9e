"""The command line of the traffic publisher."""

from pathlib import Path
from typing import Annotated

import typer

from bus.cli.options import Format, Kafka, Output, Registry
from producers.options import Limit, Patience, Wait

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="a CSV file, also compressed (.gz) [default: Köln's segments on 15 January 2014, "
            "which are shipped]",
            show_default=False,
        ),
    ] = None,
    state: Annotated[
        Path, typer.Option(metavar="FILE", help="where it is kept how far each file is published")
    ] = Path("traffic.sqlite"),
    system: Annotated[str, typer.Option(help="the system that publishes")] = (
        "de.mun.053150000000.verkehrslage"
    ),
    municipality: Annotated[
        str, typer.Option(metavar="ARS", help="the municipality that the segments lie in")
    ] = "053150000000",
    speed: Annotated[
        float,
        typer.Option(
            min=0.001,
            metavar="FACTOR",
            help="how many times as fast as the timestamps; 60 makes an hour last a minute",
        ),
    ] = 60.0,
    limit: Limit = None,
    patience: Patience = 60.0,
    wait: Wait = 0.0,
    kafka: Kafka = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Replay how busy a city's streets were, in the order and pace of the timestamps.

    Rows that cannot be used are told of and left out; the exit code is 7 then.
    """
    from bus.cli.edge import leaving_in_order, run_program
    from bus.cli.options import client_settings
    from producers.progress import Progress
    from producers.traffic.street import Job, publish

    with leaving_in_order():
        settings = client_settings(kafka, registry)
    job = Job(
        file=file,
        state=state,
        system=system,
        municipality=municipality,
        speed=speed,
        limit=limit,
        patience=patience,
        wait=wait,
    )
    progress = Progress(json=output is Format.json)
    run_program(lambda stop: publish(job, settings, stop, progress))


if __name__ == "__main__":
    app()
