"""The command line of the address book."""

from typing import Annotated

import typer

from bus.cli.options import Format, Kafka, Output, Registry
from consumers.options import Database, Promise

GROUP = "de.agency.geodaten.address-book"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    database: Database = "sqlite:///address-book.db",
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild",
            help="first read all that was taken in again, into new tables, and exchange them",
        ),
    ] = False,
    promise: Promise = None,
    group: Annotated[str, typer.Option(help="the consumer group")] = GROUP,
    kafka: Kafka = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Keep a SQL mirror of all addresses in force: the table `address`."""
    from bus.cli.edge import leaving_in_order, run_program
    from bus.cli.options import client_settings
    from consumers.address_book.mirror import Job, mirror
    from consumers.progress import Progress

    with leaving_in_order():
        settings = client_settings(kafka, registry)
    progress = Progress(group, json=output is Format.json)
    job = Job(database=database, rebuild=rebuild, promise=promise)
    run_program(lambda stop: mirror(job, settings, stop, progress))


if __name__ == "__main__":
    app()
