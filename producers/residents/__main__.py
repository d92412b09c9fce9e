"""The command line of the residents' publisher."""

from pathlib import Path
from typing import Annotated

import typer

from bus.cli.options import Format, Kafka, Output, Registry
from producers.options import Limit, Patience, Rate, Wait

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    state: Annotated[
        Path, typer.Option(metavar="FILE", help="where it is kept how far each life is published")
    ] = Path("residents.sqlite"),
    system: Annotated[str, typer.Option(help="the system that publishes")] = (
        "de.mun.092720140140.meldewesen"
    ),
    municipality: Annotated[
        str, typer.Option(metavar="ARS", help="the municipality that the people live in")
    ] = "092720140140",
    seed: Annotated[int, typer.Option(help="the same seed, the same people and moves")] = 1,
    rate: Rate = 1.0,
    limit: Limit = None,
    patience: Patience = 60.0,
    wait: Wait = 0.0,
    signing_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="the system's private key [default: publisher.signing_key]",
            show_default=False,
        ),
    ] = None,
    kafka: Kafka = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Publish what happens to residents of the Ilzer Land, all of whom are invented.

    People, streets and addresses do not exist; the municipalities do. Each event is signed.
    """
    from bus.cli.edge import leaving_in_order, run_program
    from bus.settings import load
    from producers.progress import Progress
    from producers.residents.register import Job, publish

    with leaving_in_order():
        settings = load(
            {
                "kafka.bootstrap": kafka,
                "registry.url": registry,
                "publisher.signing_key": signing_key,
            }
        )
    job = Job(
        state=state,
        system=system,
        municipality=municipality,
        seed=seed,
        rate=rate,
        limit=limit,
        patience=patience,
        wait=wait,
    )
    progress = Progress(json=output is Format.json)
    run_program(lambda stop: publish(job, settings, stop, progress))


if __name__ == "__main__":
    app()
