"""The command line of the address register's publisher."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from bus.cli.options import Format, Kafka, Output, Registry
from producers.options import Limit, Patience, Rate, Wait

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="the snapshot: a CSV file with the columns hnr, hnr_zusatz, str_name, plz, "
            "ort_name and PLR_ID [default: a part of Berlin's register that is shipped]",
            show_default=False,
        ),
    ] = None,
    date: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="the day that the snapshot shows [default: the date in the file's name]",
            show_default=False,
        ),
    ] = None,
    state: Annotated[
        Path, typer.Option(metavar="FILE", help="where it is kept what was published")
    ] = Path("address-register.sqlite"),
    system: Annotated[str, typer.Option(help="the system that publishes")] = (
        "de.mun.110000000000.adressregister"
    ),
    municipality: Annotated[
        str, typer.Option(metavar="ARS", help="the municipality that the addresses lie in")
    ] = "110000000000",
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="an empty snapshot is meant: withdraw all")
    ] = False,
    allow_shrink: Annotated[
        bool, typer.Option("--allow-shrink", help="withdrawing more than a fifth is meant")
    ] = False,
    rate: Rate = None,
    limit: Limit = None,
    patience: Patience = 60.0,
    wait: Wait = 0.0,
    kafka: Kafka = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Publish what changed in an address register since its last snapshot."""
    from bus.cli.edge import leaving_in_order, run_program
    from bus.cli.options import client_settings
    from producers.address_register.register import Job, publish
    from producers.progress import Progress

    with leaving_in_order():
        settings = client_settings(kafka, registry)
    job = Job(
        file=file,
        day=date.date() if date else None,
        state=state,
        system=system,
        municipality=municipality,
        allow_empty=allow_empty,
        allow_shrink=allow_shrink,
        rate=rate,
        limit=limit,
        patience=patience,
        wait=wait,
    )
    progress = Progress(json=output is Format.json)
    run_program(lambda stop: publish(job, settings, stop, progress))


if __name__ == "__main__":
    app()
